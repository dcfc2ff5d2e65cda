//! Ending the process at a named moment, as a power cut would: for tests of what survives.
//!
//! Every event kind names two moments: just before and just after the commit that holds it.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::envelope::Envelope;

/// Longest time from the signal until all threads stand still.
const STOPS_WITHIN: Duration = Duration::from_secs(1);

/// `before:run_finished` or `after:statuses_intended:2`: the process is killed around the commit
/// that holds the nth (default first) event of this kind since it started. With `freeze:` it is
/// stopped just after that commit, until somebody lets it go on.
#[derive(Debug, Clone)]
pub struct Failpoint {
    moment: Moment,
    /// Stopped where it stands, instead of killed.
    freezes: bool,
    kind: String,
    left: Arc<AtomicU32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Before,
    After,
}

impl FromStr for Failpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let (moment, freezes) = match parts.next() {
            Some("before") => (Moment::Before, false),
            Some("after") => (Moment::After, false),
            Some("freeze") => (Moment::After, true),
            _ => return Err(format!("`{text}` should begin with before:, after: or freeze:")),
        };
        let kind = parts.next().unwrap_or_default();
        if !aldis_domain::event::Event::KINDS.contains(&kind) {
            return Err(format!("`{kind}` is no kind of event"));
        }
        let count = parts
            .next()
            .map_or(Ok(1), str::parse)
            .map_err(|_| format!("`{text}` should end in a number"))?;
        Ok(Self { moment, freezes, kind: kind.to_owned(), left: Arc::new(AtomicU32::new(count)) })
    }
}

impl Failpoint {
    /// Does not return if this is the moment. The kill cannot be caught: nothing is cleaned up.
    pub(crate) fn strike(&self, moment: Moment, events: &[Envelope]) {
        let matching = events.iter().filter(|event| event.kind == self.kind).count();
        if moment != self.moment || matching == 0 {
            return;
        }
        let matching = u32::try_from(matching).unwrap_or(u32::MAX);
        let before = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| Some(n.saturating_sub(matching)));
        if before.is_ok_and(|left| left > 0 && left <= matching) {
            let process = rustix::process::getpid();
            // Cannot fail for our own process; if it did, the test that asked would notice.
            let signal = if self.freezes { Signal::STOP } else { Signal::KILL };
            let _ = rustix::process::kill_process(process, signal);
            // The kernel may hand the signal to another thread first, and this one would go on until
            // that has stopped the process.
            std::thread::sleep(STOPS_WITHIN);
        }
    }
}
