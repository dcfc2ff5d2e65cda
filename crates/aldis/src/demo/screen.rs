//! What the demo prints.

use std::io::{IsTerminal, Result, Write};

/// The terminal, or a file.
pub(super) struct Screen {
    colour: bool,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { colour: std::io::stdout().is_terminal() }
    }

    fn styled(&self, code: &str, text: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        if self.colour {
            writeln!(out, "\x1b[{code}m{text}\x1b[0m")?;
        } else {
            writeln!(out, "{text}")?;
        }
        out.flush()
    }

    pub(super) fn title(&mut self, text: &str) -> Result<()> {
        self.styled("1", text)
    }

    pub(super) fn warning(&mut self, text: &str) -> Result<()> {
        let rule = "!".repeat(72);
        self.styled("1;33", &format!("{rule}\n{text}\n{rule}"))
    }

    pub(super) fn act(&mut self, number: usize, of: usize, words: &str) -> Result<()> {
        self.styled("1", &format!("\n[{number}/{of}] {words}"))
    }

    pub(super) fn line(&mut self, text: &str) -> Result<()> {
        self.styled("0", text)
    }

    /// Something that people would see in GitLab now.
    pub(super) fn change(&mut self, text: &str) -> Result<()> {
        self.styled("2", &format!("    {text}"))
    }
}
