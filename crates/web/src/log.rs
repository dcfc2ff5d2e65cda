//! Output of an attempt, from the store to lines. The run page, the live log and the download read
//! it through [`Reader`], so line numbers are the same everywhere.

use aldis_domain::id::RunId;
use aldis_store::{Store, StoreError};
use serde::Serialize;

use crate::terminal::{Line, Span, Terminal};

/// Chunks that are read at once.
const CHUNKS: usize = 64;

/// A line and the step that wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    /// From 1, through all steps.
    pub(crate) number: u64,
    /// From 0.
    pub(crate) step: u32,
    pub(crate) spans: Vec<Span>,
}

impl Row {
    fn new(line: Line, step: u32) -> Self {
        Self { number: line.number, step, spans: line.spans }
    }

    /// The line without its looks.
    pub(crate) fn text(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect()
    }
}

/// Reads one attempt's output from its beginning.
#[derive(Debug)]
pub(crate) struct Reader {
    store: Store,
    run: RunId,
    epoch: u64,
    /// Number of the last chunk that was read.
    seq: Option<u64>,
    step: u32,
    terminal: Terminal,
}

impl Reader {
    pub(crate) fn new(store: Store, run: RunId, epoch: u64) -> Self {
        Self { store, run, epoch, seq: None, step: 0, terminal: Terminal::default() }
    }

    /// The attempt that is read.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Number of the last chunk that was read.
    pub(crate) fn seq(&self) -> Option<u64> {
        self.seq
    }

    /// Reads on, at most to the chunk `until`, and hands over each line that has ended. False:
    /// there is nothing more yet.
    pub(crate) async fn read(
        &mut self,
        until: Option<u64>,
        mut row: impl FnMut(Row),
    ) -> Result<bool, StoreError> {
        let chunks = self.store.log_after(self.run.as_str(), self.epoch, self.seq, CHUNKS).await?;
        let more = !chunks.is_empty();
        for chunk in chunks {
            if until.is_some_and(|until| chunk.seq > until) {
                return Ok(false);
            }
            if chunk.step != self.step {
                // A step that ends within a line leaves it, and its colour, to nobody.
                let (rest, terminal) = std::mem::take(&mut self.terminal).next_writer();
                self.terminal = terminal;
                if let Some(line) = rest {
                    row(Row::new(line, self.step));
                }
                self.step = chunk.step;
            }
            let step = self.step;
            self.terminal.feed(&chunk.bytes, |line| row(Row::new(line, step)));
            self.seq = Some(chunk.seq);
        }
        Ok(more)
    }

    /// The last line, if it has not ended yet.
    pub(crate) fn open(&self) -> Option<Row> {
        self.terminal.open().map(|line| Row::new(line, self.step))
    }
}
