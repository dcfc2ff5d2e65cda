//! The last bytes of an output that is too long, in bounded memory.

use std::collections::VecDeque;

/// Pieces are at most this long, so that little is lost when one is dropped.
const PIECE: usize = 64 << 10;

/// Keeps at least the last `room` bytes and at most one piece more.
#[derive(Debug)]
pub(crate) struct LastBytes {
    room: usize,
    pieces: VecDeque<(u32, Vec<u8>)>,
    size: usize,
    dropped: u64,
}

impl LastBytes {
    pub(crate) fn new(room: usize) -> Self {
        Self { room, pieces: VecDeque::new(), size: 0, dropped: 0 }
    }

    pub(crate) fn push(&mut self, step: u32, bytes: &[u8]) {
        for part in bytes.chunks(PIECE) {
            self.size += part.len();
            match self.pieces.back_mut() {
                Some((last, piece)) if *last == step && piece.len() + part.len() <= PIECE => {
                    piece.extend_from_slice(part);
                }
                _ => self.pieces.push_back((step, part.to_vec())),
            }
        }
        while self.size > self.room + PIECE {
            let Some((_, piece)) = self.pieces.pop_front() else { return };
            self.size -= piece.len();
            self.dropped += piece.len() as u64;
        }
    }

    /// Empties it: the pieces by step, and how many bytes are missing before them. If something is
    /// missing, the pieces are cut to the room, and `torn` bytes more for a torn beginning.
    pub(crate) fn take(&mut self, torn: usize) -> (Vec<(u32, Vec<u8>)>, u64) {
        let mut cut = match (self.dropped, self.size.saturating_sub(self.room)) {
            (0, 0) => 0,
            (_, over) => over.max(torn).min(self.size),
        };
        self.dropped += cut as u64;
        let mut pieces = Vec::with_capacity(self.pieces.len());
        for (step, piece) in self.pieces.drain(..) {
            let skip = cut.min(piece.len());
            cut -= skip;
            if skip < piece.len() {
                pieces.push((step, piece[skip..].to_vec()));
            }
        }
        self.size = 0;
        (pieces, std::mem::take(&mut self.dropped))
    }
}
