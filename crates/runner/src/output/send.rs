//! Hands chunks to the run queue, in order, in the job's back.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aldis_protocol::{DispatchError, Dispatcher, LogChunk, Ticket};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Bytes of a chunk at most.
const CHUNK: usize = 64 << 10;
/// The first bytes after a silence wait this long for company.
const QUICK: Duration = Duration::from_millis(80);
/// Between two chunks that are not full.
const STEADY: Duration = Duration::from_secs(1);

/// Masked bytes that wait for the sender. Bounded by the log's cap.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    pieces: VecDeque<(u32, Vec<u8>)>,
    size: usize,
    closed: bool,
}

/// How sending ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SendEnd {
    All,
    /// The queue disowned the attempt.
    Stale,
}

impl Queue {
    pub(crate) fn push(&self, step: u32, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut waiting = self.lock();
        let before = waiting.size;
        waiting.size += bytes.len();
        let mut rest = bytes;
        if let Some((last, piece)) = waiting.pieces.back_mut()
            && *last == step
        {
            let (now, later) = rest.split_at(rest.len().min(CHUNK.saturating_sub(piece.len())));
            piece.extend_from_slice(now);
            rest = later;
        }
        for part in rest.chunks(CHUNK) {
            waiting.pieces.push_back((step, part.to_vec()));
        }
        if before == 0 || (before < CHUNK && waiting.size >= CHUNK) {
            self.bell.notify_one();
        }
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<(u32, Vec<u8>)> {
        let mut waiting = self.lock();
        let (step, bytes) = waiting.pieces.pop_front()?;
        waiting.size -= bytes.len();
        Some((step, bytes))
    }

    /// `Some(true)`: send now; `Some(false)`: there is something; `None`: nothing yet.
    fn urgency(&self) -> Option<bool> {
        let waiting = self.lock();
        let now = waiting.closed || waiting.size >= CHUNK;
        (now || waiting.size > 0).then_some(now)
    }

    fn is_done(&self) -> bool {
        let waiting = self.lock();
        waiting.closed && waiting.size == 0
    }

    /// Waits until a chunk should go out: full, closed, or its time has come.
    async fn ready(&self, last_sent: Option<Instant>) {
        let mut due: Option<Instant> = None;
        loop {
            match self.urgency() {
                Some(true) => return,
                Some(false) => {
                    let at = *due.get_or_insert_with(|| {
                        let quick = Instant::now() + QUICK;
                        last_sent.map_or(quick, |sent| quick.max(sent + STEADY))
                    });
                    tokio::select! {
                        () = self.bell.notified() => {}
                        () = tokio::time::sleep_until(at) => return,
                    }
                }
                None => self.bell.notified().await,
            }
        }
    }
}

/// Sends until the queue is closed and empty. An unavailable run queue is asked again for ever:
/// whoever closes the log decides how long to wait.
pub(crate) async fn send_all<D: Dispatcher>(
    dispatcher: D,
    ticket: Ticket,
    queue: Arc<Queue>,
    stale: Arc<Notify>,
) -> SendEnd {
    let mut seq = 0;
    let mut last_sent = None;
    loop {
        queue.ready(last_sent).await;
        if queue.is_done() {
            return SendEnd::All;
        }
        let Some((step, bytes)) = queue.take() else { continue };
        let chunk = LogChunk { ticket: ticket.clone(), step, seq, bytes };
        seq += 1;
        let mut pause = Duration::from_millis(200);
        while let Err(error) = dispatcher.log(chunk.clone()).await {
            if error == DispatchError::Stale {
                stale.notify_one();
                return SendEnd::Stale;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        last_sent = Some(Instant::now());
    }
}
