//! Job output as lines of styled text. The run page and the live log show these; both put the text
//! where it is escaped (a template, a text node), so nothing here is HTML.
//!
//! Only colours and weight are understood (SGR). Every other sequence is dropped, and a line's end
//! ends any sequence, so that output cannot hide what comes after it.

use serde::Serialize;

mod style;

use crate::words::shown;
use style::Style;

/// Longest line that is kept, in bytes.
const LINE: usize = 16 * 1024;
/// Longest escape sequence that is looked at, in bytes.
const SEQUENCE: usize = 64;
const CUT: &str = " … (the rest of this line is not shown)";

/// Text of one look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Span {
    /// Class names of the style sheet; empty for plain text.
    #[serde(rename = "c", skip_serializing_if = "str::is_empty")]
    pub(crate) class: String,
    #[serde(rename = "t")]
    pub(crate) text: String,
}

/// One line of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: u64,
    pub(crate) spans: Vec<Span>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Text,
    /// After ESC.
    Escape,
    /// ESC and intermediate bytes: one more byte ends it.
    Charset,
    /// `ESC [`: parameters up to a final byte.
    Control,
    /// OSC, DCS and their like: up to BEL or ST.
    Title,
    /// ESC inside such a text.
    TitleEnd,
    /// A carriage return: the next byte tells whether the line ends or is written over.
    Return,
}

/// Reads output piece by piece; how it is cut into pieces makes no difference.
#[derive(Debug)]
pub(crate) struct Terminal {
    reading: Reading,
    sequence: Vec<u8>,
    style: Style,
    spans: Vec<Span>,
    text: Vec<u8>,
    /// Bytes of the present line.
    length: usize,
    number: u64,
}

impl Default for Terminal {
    fn default() -> Self {
        Self {
            reading: Reading::Text,
            sequence: Vec::new(),
            style: Style::default(),
            spans: Vec::new(),
            text: Vec::new(),
            length: 0,
            number: 1,
        }
    }
}

impl Terminal {
    /// Takes in the next bytes and calls `line` for each line that they end.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut line: impl FnMut(Line)) {
        for &byte in bytes {
            if let Some(ended) = self.byte(byte) {
                line(ended);
            }
        }
    }

    /// The line that has no end yet.
    pub(crate) fn open(&self) -> Option<Line> {
        if self.length == 0 {
            return None;
        }
        let mut spans = self.spans.clone();
        push(&mut spans, self.style, &self.text);
        (!spans.is_empty()).then_some(Line { number: self.number, spans })
    }

    /// Ends the line that has no end, and goes on with plain text at the next one.
    pub(crate) fn next_writer(self) -> (Option<Line>, Self) {
        let open = self.open();
        let number = self.number + u64::from(open.is_some());
        (open, Self { number, ..Self::default() })
    }

    fn byte(&mut self, byte: u8) -> Option<Line> {
        if byte == b'\n' {
            self.reading = Reading::Text;
            return Some(self.end_line());
        }
        match self.reading {
            Reading::Text => self.text_byte(byte),
            Reading::Return => {
                self.reading = Reading::Text;
                // `\r\r\n` is a line's end, too.
                if byte == b'\r' {
                    self.reading = Reading::Return;
                } else {
                    self.write_over();
                    self.text_byte(byte);
                }
            }
            Reading::Escape => self.escape_byte(byte),
            Reading::Charset => {
                if !(0x20..=0x2f).contains(&byte) {
                    self.reading = Reading::Text;
                }
            }
            Reading::Control => self.control_byte(byte),
            Reading::Title => match byte {
                0x07 => self.reading = Reading::Text,
                0x1b => self.reading = Reading::TitleEnd,
                _ => {}
            },
            Reading::TitleEnd => match byte {
                b'\\' => self.reading = Reading::Text,
                _ => self.escape_byte(byte),
            },
        }
        None
    }

    fn text_byte(&mut self, byte: u8) {
        match byte {
            0x1b => self.reading = Reading::Escape,
            b'\r' => self.reading = Reading::Return,
            b'\t' | 0x20..=0x7e | 0x80..=0xff => {
                if self.length < LINE {
                    self.text.push(byte);
                } else if self.length == LINE {
                    self.text.extend_from_slice(CUT.as_bytes());
                }
                self.length += 1;
            }
            _ => {}
        }
    }

    fn escape_byte(&mut self, byte: u8) {
        self.reading = match byte {
            b'[' => {
                self.sequence.clear();
                Reading::Control
            }
            b']' | b'P' | b'X' | b'^' | b'_' => Reading::Title,
            0x20..=0x2f => Reading::Charset,
            0x1b => Reading::Escape,
            _ => Reading::Text,
        };
    }

    fn control_byte(&mut self, byte: u8) {
        match byte {
            0x20..=0x3f if self.sequence.len() < SEQUENCE => self.sequence.push(byte),
            b'm' => {
                self.reading = Reading::Text;
                self.end_span();
                if self.sequence.len() < SEQUENCE {
                    self.style.apply(&self.sequence);
                }
            }
            // Progress bars clear the line and write it again.
            b'K' => {
                self.reading = Reading::Text;
                if self.sequence == b"2" {
                    self.write_over();
                }
            }
            0x1b => self.reading = Reading::Escape,
            0x40..=0x7e => self.reading = Reading::Text,
            _ => {}
        }
    }

    fn write_over(&mut self) {
        self.spans.clear();
        self.text.clear();
        self.length = 0;
    }

    fn end_span(&mut self) {
        push(&mut self.spans, self.style, &self.text);
        self.text.clear();
    }

    fn end_line(&mut self) -> Line {
        self.end_span();
        let line = Line { number: self.number, spans: std::mem::take(&mut self.spans) };
        self.number += 1;
        self.length = 0;
        line
    }
}

fn push(spans: &mut Vec<Span>, style: Style, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let text: String = String::from_utf8_lossy(bytes).chars().filter_map(shown).collect();
    let class = style.class();
    match spans.last_mut() {
        Some(last) if last.class == class => last.text.push_str(&text),
        _ if text.is_empty() => {}
        _ => spans.push(Span { class, text }),
    }
}

#[cfg(test)]
mod tests;
