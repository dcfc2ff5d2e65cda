//! How far a long command has come, for whoever watches. Only ever on the error stream, and only
//! if that is a terminal: the output stays clean for programs.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(100);

/// One line that is written anew.
pub(super) struct Progress {
    what: &'static str,
    /// The position at which it ends.
    end: i64,
    shown: Option<Instant>,
    terminal: bool,
}

impl Progress {
    pub(super) fn new(what: &'static str, end: i64) -> Self {
        Self { what, end, shown: None, terminal: stderr().is_terminal() }
    }

    pub(super) fn reached(&mut self, position: i64) {
        if !self.terminal || self.shown.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        self.shown = Some(Instant::now());
        // A closed error stream is no reason to stop the work.
        let _ = write!(stderr(), "\r{} {position} of {}", self.what, self.end);
    }

    /// Removes the line.
    pub(super) fn done(&self) {
        if self.shown.is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
