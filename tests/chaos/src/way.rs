//! A way from one to another, as faults use it. Never here: which ways there are.

use aldis_test_servers::{Caught, Trap, Valve};
use tokio::sync::{Mutex, MutexGuard};

pub(crate) struct Way {
    valve: Valve,
    /// Held while it is dark.
    hole: Mutex<()>,
}

/// While it lives nothing comes through.
pub(crate) struct Dark<'a> {
    valve: &'a Valve,
    held_up_before: u64,
    _one: MutexGuard<'a, ()>,
}

impl Way {
    pub(crate) fn new(valve: Valve) -> Self {
        Self { valve, hole: Mutex::default() }
    }

    pub(crate) async fn before(url: &str) -> Self {
        Self::new(Valve::before(url).await)
    }

    pub(crate) fn url(&self) -> &str {
        self.valve.url()
    }

    /// Whether connections were there, which are broken now.
    pub(crate) fn cut(&self) -> bool {
        self.valve.cut() > 0
    }

    /// Darkens it from now on, one after the other: the end of one hole would be that of another.
    pub(crate) async fn darken(&self) -> Dark<'_> {
        let one = self.hole.lock().await;
        let held_up_before = self.valve.held_up();
        self.valve.shut();
        Dark { valve: &self.valve, held_up_before, _one: one }
    }

    /// Darkens it for good.
    pub(crate) fn give_up(&self) {
        self.valve.shut();
    }

    /// Waits until such a request comes.
    pub(crate) async fn catch(&self, trap: Trap) -> Caught {
        self.valve.catch(trap).await
    }
}

impl Dark<'_> {
    pub(crate) fn has_swallowed(&self) -> bool {
        self.valve.held_up() > self.held_up_before
    }
}

impl Drop for Dark<'_> {
    fn drop(&mut self) {
        self.valve.open();
    }
}
