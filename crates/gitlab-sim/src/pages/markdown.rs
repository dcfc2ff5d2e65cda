//! A small part of Markdown, enough to read the bot's comments: headings, lists, tables, fenced
//! code, bold, inline code, links. All foreign HTML is escaped, except `details` and `summary`
//! without attributes.

use super::layout::{escape, link};

/// Tags that pass through as they are.
const TAGS: &[&str] = &["<details>", "</details>", "<summary>", "</summary>"];

/// Markdown as HTML.
pub(super) fn render(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at].trim_end();
        if let Some(fence) = fence(line) {
            let end = (at + 1..lines.len()).find(|end| closes(lines[*end], fence));
            let end = end.unwrap_or(lines.len());
            out.push_str("<pre><code>");
            out.push_str(&escape(&lines[at + 1..end].join("\n")));
            out.push_str("</code></pre>");
            at = end + 1;
        } else if is_table(&lines, at) {
            at = table(&lines, at, &mut out);
        } else {
            block(line, &mut out);
            at += 1;
        }
    }
    out
}

/// The backticks or tildes that open a code block.
fn fence(line: &str) -> Option<&str> {
    let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = line.len() - line.trim_start_matches(mark).len();
    (length >= 3).then(|| &line[..length])
}

fn closes(line: &str, fence: &str) -> bool {
    let line = line.trim_end();
    line.starts_with(fence) && line.chars().all(|c| fence.starts_with(c))
}

fn is_table(lines: &[&str], at: usize) -> bool {
    let ruler = |line: &str| {
        line.contains("--") && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '))
    };
    lines[at].starts_with('|') && lines.get(at + 1).is_some_and(|line| ruler(line))
}

fn table(lines: &[&str], start: usize, out: &mut String) -> usize {
    out.push_str("<table>");
    let mut at = start;
    while at < lines.len() && lines[at].starts_with('|') {
        if at != start + 1 {
            let tag = if at == start { "th" } else { "td" };
            out.push_str("<tr>");
            for cell in lines[at].trim().trim_matches('|').split('|') {
                out.push_str(&format!("<{tag}>{}</{tag}>", inline(cell.trim())));
            }
            out.push_str("</tr>");
        }
        at += 1;
    }
    out.push_str("</table>");
    at
}

fn block(line: &str, out: &mut String) {
    if line.trim().is_empty() || (line.starts_with("<!--") && line.ends_with("-->")) {
        return;
    }
    let level = line.len() - line.trim_start_matches('#').len();
    if (1..=6).contains(&level) && line[level..].starts_with(' ') {
        out.push_str(&format!("<h3>{}</h3>", inline(line[level..].trim())));
    } else if let Some(item) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")) {
        out.push_str(&format!("<p>• {}</p>", inline(item)));
    } else if TAGS.contains(&line.trim()) {
        out.push_str(line.trim());
    } else if line.starts_with("<details>") || line.starts_with("<summary>") {
        out.push_str(&inline(line));
    } else {
        out.push_str(&format!("<p>{}</p>", inline(line)));
    }
}

/// Inline code first, as nothing inside it means anything.
fn inline(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('`') {
        let Some((code, tail)) = after.split_once('`') else { break };
        out.push_str(&bold(before));
        out.push_str(&format!("<code>{}</code>", escape(code)));
        rest = tail;
    }
    out.push_str(&bold(rest));
    out
}

fn bold(text: &str) -> String {
    let parts: Vec<&str> = text.split("**").collect();
    let last = parts.len() - 1;
    let mut out = String::new();
    for (index, part) in parts.into_iter().enumerate() {
        let html = links(part);
        if index % 2 == 1 && index < last {
            out.push_str(&format!("<strong>{html}</strong>"));
        } else if index % 2 == 1 {
            out.push_str("**");
            out.push_str(&html);
        } else {
            out.push_str(&html);
        }
    }
    out
}

fn links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let (before, from) = rest.split_at(open);
        let Some((label, tail)) = from[1..].split_once("](") else { break };
        let Some((url, after)) = tail.split_once(')') else { break };
        out.push_str(&tags(before));
        out.push_str(&link(url, label));
        rest = after;
    }
    out.push_str(&tags(rest));
    out
}

/// Escapes everything but the few tags that pass.
fn tags(text: &str) -> String {
    let mut html = escape(text);
    for tag in TAGS {
        html = html.replace(&escape(tag), tag);
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_the_bot_writes() {
        let text = "<!-- marker -->\n## Result\n**failed** in [unit](https://ci.test/1)\n\n\
                    | stack | state |\n|---|---|\n| `unit` | failed |\n\n\
                    <details><summary>log</summary>\n\n````\nx < 1\n```\n````\n</details>";
        insta::assert_snapshot!(render(text), @r#"
        <h3>Result</h3><p><strong>failed</strong> in <a href="https://ci.test/1">unit</a></p><table><tr><th>stack</th><th>state</th></tr><tr><td><code>unit</code></td><td>failed</td></tr></table><details><summary>log</summary><pre><code>x &lt; 1
        ```</code></pre></details>
        "#);
    }

    #[test]
    fn escapes_foreign_html_and_refuses_script_links() {
        let html = render("<script>x</script> <details open> [a](javascript:alert) ![](x)");
        assert!(!html.contains("<script") && !html.contains("<details"), "{html}");
        assert!(!html.contains("href") && !html.contains("<img"), "{html}");
    }
}
