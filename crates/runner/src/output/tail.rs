//! The last lines of the output as plain text: no ANSI sequences, no control characters.

/// Bytes of the finished tail.
const LONGEST: usize = 4 << 10;
/// Bytes kept to make it from; colours and progress bars take their share.
const KEPT: usize = 32 << 10;

/// Collects the end of a stream.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    /// The next bytes, masked already.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(KEPT)..];
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > 2 * KEPT {
            self.bytes.drain(..self.bytes.len() - KEPT);
        }
    }

    /// Whole lines, at most 4 KiB. Of a line redrawn with carriage returns the last state.
    pub(crate) fn text(&self) -> String {
        let plain = plain_text(&self.bytes);
        let lines: Vec<&str> = plain.lines().map(last_state).collect();
        let mut from = lines.len();
        let mut size = 0;
        while from > 0 && size + lines[from - 1].len() < LONGEST {
            from -= 1;
            size += lines[from].len() + 1;
        }
        if from == lines.len() && from > 0 {
            let line = lines[from - 1];
            let start = line.ceil_char_boundary(line.len() - LONGEST + 1);
            return line[start..].to_owned();
        }
        lines[from..].join("\n").trim_matches('\n').to_owned()
    }
}

fn last_state(line: &str) -> &str {
    let line = line.trim_end_matches('\r');
    line.rsplit('\r').next().unwrap_or(line).trim_end()
}

/// Drops ANSI sequences and control characters but `\n` and `\r`; a tab becomes a space.
pub(crate) fn plain_text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut chars),
            '\t' => plain.push(' '),
            '\n' | '\r' => plain.push(c),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain
}

/// After ESC: `[` … final byte, `]` … BEL or ESC `\`, or a single character.
fn skip_sequence(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            while let Some(c) = chars.peek().copied() {
                if !c.is_ascii() || c == '\n' {
                    return;
                }
                chars.next();
                if ('@'..='~').contains(&c) {
                    return;
                }
            }
        }
        Some(']') => {
            while let Some(c) = chars.peek().copied() {
                if c == '\n' {
                    return;
                }
                chars.next();
                if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                    return;
                }
            }
        }
        Some('\n') | None => {}
        Some(_) => {
            chars.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_titles_and_progress_bars_disappear() {
        let mut tail = Tail::default();
        tail.push(
            b"\x1b[1;31mred\x1b[0m\tx\r\n\x1b]0;title\x07ok\n10%\r50%\r100%\nbell\x07 \xff\n",
        );
        insta::assert_snapshot!(tail.text(), @r"
        red x
        ok
        100%
        bell �
        ");
    }

    #[test]
    fn only_whole_last_lines_are_kept() {
        let mut tail = Tail::default();
        for number in 0..10_000 {
            tail.push(format!("line {number}\n").as_bytes());
        }
        let text = tail.text();
        assert!(text.len() <= LONGEST && text.len() > LONGEST - 20, "{}", text.len());
        assert!(text.starts_with("line ") && text.ends_with("line 9999"));
    }

    #[test]
    fn one_endless_line_is_cut_at_a_character() {
        let mut tail = Tail::default();
        tail.push("ä".repeat(100_000).as_bytes());
        let text = tail.text();
        assert!(text.len() <= LONGEST && text.len() > LONGEST - 4);
    }
}
