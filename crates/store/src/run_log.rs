//! Output of a run's steps. It is no event: it is kept for some days, then it goes.

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// Counts through all steps of an attempt. The same number again is the same chunk again.
    pub seq: u64,
    /// The step that wrote it, from 0.
    pub step: u32,
    pub bytes: Vec<u8>,
}
