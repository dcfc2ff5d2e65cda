//! What is wrong with a config file, and where: read by people in notes, the terminal and pages.
//!
//! A finding never repeats a value of `env` or `variables`: people put secrets there by mistake.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether the file can be used all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing of the file is used.
    Error,
    /// The file is used as it stands.
    Warning,
}

/// One remark on a config file. Displays as
/// `.aldis.yml:12:5: stacks.api: unknown key "step"; did you mean "steps"?`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub severity: Severity,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// `stacks.api.steps[1].run`; steps count from 0. Empty: the file as a whole.
    pub path: String,
    pub message: String,
    /// What to do about it, where the message alone does not say.
    pub hint: Option<String>,
}

impl Finding {
    /// The name that findings give the file.
    pub const FILE: &str = ".aldis.yml";

    /// True for everything that keeps the file from being used.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", Self::FILE, self.line, self.column)?;
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}
