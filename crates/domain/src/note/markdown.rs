//! Foreign text in GitLab's Markdown: shown as it is, never acted on.
//!
//! GitLab runs quick actions of API notes with the bot's rights, from any line that starts with `/`
//! (`lib/gitlab/quick_actions/extractor.rb`), and its code-block pattern ends a fence only at a line
//! of exactly three backticks (`lib/gitlab/regex.rb`). So no line of foreign text may start with
//! `/`, not even inside a fence.

/// Zero-width space: keeps a sign from being read as the start of something.
const BREAK: char = '\u{200b}';

/// A fenced block that holds `text`, with a fence longer than any run of backticks in it.
pub fn fenced(language: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    let mut block = format!("{fence}{language}\n");
    for line in text.lines() {
        let line: String = line.chars().filter(|c| visible(*c)).collect();
        if line.trim_start().starts_with('/') {
            block.push(BREAK);
        }
        block.push_str(line.trim_end());
        block.push('\n');
    }
    block.push_str(&fence);
    block
}

/// `text` on one line, as words: no mention, reference, link, image, HTML or emphasis comes of it.
pub fn inline(text: &str, limit: usize) -> String {
    let mut safe = String::new();
    let flat: String = text.chars().filter(|c| visible(*c) || c.is_whitespace()).collect();
    let line = crate::text::one_line(&flat, limit);
    let mut signs = line.chars().peekable();
    while let Some(c) = signs.next() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            // Signs of GitLab's references: `@person #1 !2 ~label %milestone &epic $snippet ^alert`.
            '@' | '#' | '!' | '~' | '%' | '&' | '$' | '^' => {
                safe.push(c);
                safe.push(BREAK);
            }
            // No address becomes a link.
            ':' if signs.peek() == Some(&'/') => {
                safe.push(c);
                safe.push(BREAK);
            }
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '|' => {
                safe.push('\\');
                safe.push(c);
            }
            _ => safe.push(c),
        }
    }
    if safe.starts_with('/') {
        safe.insert(0, BREAK);
    }
    safe
}

/// Control characters and those that turn the direction of writing are left out.
fn visible(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !turns && (!c.is_control() || c == '\t')
}
