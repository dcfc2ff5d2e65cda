//! A run's output on its way from the pipe to the run queue: masked, cut into chunks, capped.
//!
//! Called by the job, one [`Log`] per attempt. Never here: an unmasked byte that leaves, or memory
//! that grows with what a step prints.

mod keep;
mod mask;
mod send;
mod tail;

use std::sync::Arc;
use std::time::Duration;

use aldis_protocol::{Dispatcher, Ticket};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use keep::LastBytes;
use mask::Masker;
pub(crate) use mask::Patterns;
use send::{Queue, SendEnd};
use tail::Tail;
pub(crate) use tail::plain_text;

/// The output of one attempt.
pub(crate) struct Log {
    patterns: Patterns,
    masker: Masker,
    step: u32,
    tail: Tail,
    queue: Arc<Queue>,
    sender: JoinHandle<SendEnd>,
    /// Bytes that may still be shown at once.
    live: usize,
    /// What comes after them.
    last: LastBytes,
    at_line_start: bool,
}

/// What is left of a log when it is closed.
pub(crate) struct Closed {
    pub(crate) tail: String,
    /// What people should know: output left out, or not delivered.
    pub(crate) remark: Option<String>,
}

impl Log {
    /// Starts the sender. `keep` is the number of bytes that reach the queue at most; a quarter of
    /// it, 4 MiB at most, is reserved for the end. `stale` is rung if the queue disowns the attempt.
    pub(crate) fn start<D: Dispatcher>(
        dispatcher: D,
        ticket: Ticket,
        patterns: Patterns,
        keep: usize,
        stale: Arc<Notify>,
    ) -> Self {
        let queue = Arc::new(Queue::default());
        let sender = tokio::spawn(send::send_all(dispatcher, ticket, Arc::clone(&queue), stale));
        let last = (keep / 4).min(4 << 20);
        Self {
            patterns,
            masker: Masker::default(),
            step: 0,
            tail: Tail::default(),
            queue,
            sender,
            live: keep - last,
            last: LastBytes::new(last),
            at_line_start: true,
        }
    }

    /// A line in the runner's own words.
    pub(crate) fn line(&mut self, step: u32, text: &str) {
        self.turn_to(step);
        if !self.at_line_start {
            self.write(step, b"\n");
        }
        self.write(step, text.as_bytes());
        self.write(step, b"\n");
    }

    /// Bytes of a step.
    pub(crate) fn write(&mut self, step: u32, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        self.turn_to(step);
        self.at_line_start = *last == b'\n';
        if self.live == 0 {
            self.last.push(step, bytes);
            return;
        }
        let shown = self.masker.push(&self.patterns, bytes);
        self.show(&shown);
    }

    /// Reads a step's pipe to its end.
    pub(crate) async fn pump(&mut self, step: u32, pipe: &mut pipe::Receiver) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match pipe.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) => self.write(step, &buffer[..count]),
            }
        }
    }

    /// Sends what is left and ends the sender, which gets `patience` if the queue does not answer.
    pub(crate) async fn close(mut self, patience: Duration) -> Closed {
        self.flush();
        let left_out = self.show_last();
        self.queue.close();
        let sent = tokio::time::timeout(patience, &mut self.sender).await;
        let remark = match sent {
            Ok(Ok(SendEnd::All | SendEnd::Stale)) if left_out == 0 => None,
            Ok(Ok(SendEnd::All | SendEnd::Stale)) => {
                Some(format!("{left_out} bytes from the middle of the output were left out"))
            }
            Ok(Err(_)) | Err(_) => {
                self.sender.abort();
                Some("the end of the output could not be handed over".to_owned())
            }
        };
        Closed { tail: self.tail.text(), remark }
    }

    fn turn_to(&mut self, step: u32) {
        if step != self.step {
            self.flush();
            self.step = step;
            if !std::mem::replace(&mut self.at_line_start, true) {
                self.tail.push(b"\n");
            }
        }
    }

    fn flush(&mut self) {
        let shown = self.masker.end(&self.patterns);
        self.show(&shown);
    }

    /// Takes masked bytes; what is over the live part goes to the ring.
    fn show(&mut self, bytes: &[u8]) {
        let (now, later) = bytes.split_at(bytes.len().min(self.live));
        if !now.is_empty() {
            self.live -= now.len();
            self.tail.push(now);
            self.queue.push(self.step, now);
        }
        if self.live == 0 {
            self.last.push(self.step, later);
            let held = self.masker.take_raw();
            self.last.push(self.step, &held);
        }
    }

    /// Masks and sends what the ring holds; answers how many bytes it had to drop.
    fn show_last(&mut self) -> u64 {
        // The ring may begin in the middle of a secret.
        let (pieces, dropped) = self.last.take(self.patterns.longest().saturating_sub(1));
        let first = pieces.first().map(|(step, _)| *step);
        if let (Some(step), true) = (first, dropped > 0) {
            let notice = format!("\n[{dropped} bytes of output are left out here]\n");
            self.queue.push(step, notice.as_bytes());
        }
        let mut step = first.unwrap_or(0);
        let mut masker = Masker::default();
        for (piece_step, bytes) in pieces {
            if piece_step != step {
                let shown = masker.end(&self.patterns);
                self.tail.push(&shown);
                self.queue.push(step, &shown);
                step = piece_step;
            }
            let shown = masker.push(&self.patterns, &bytes);
            self.tail.push(&shown);
            self.queue.push(step, &shown);
        }
        let shown = masker.end(&self.patterns);
        self.tail.push(&shown);
        self.queue.push(step, &shown);
        dropped
    }
}

#[cfg(test)]
mod tests;
