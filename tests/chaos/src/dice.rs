//! Chance that can be repeated: the same seed, the same throws.

/// A die. Good enough for faults, not for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// `use_of`: tells several dice of one seed apart.
    pub(crate) fn new(seed: u64, use_of: u64) -> Self {
        let mut dice = Self((seed ^ use_of.wrapping_mul(0x9E37_79B9_7F4A_7C15)) | 1);
        // Seeds that are near to each other should not look alike.
        for _ in 0..8 {
            dice.next();
        }
        dice
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True so many times out of a hundred.
    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        let index = self.below(all.len() as u64);
        all[usize::try_from(index).unwrap_or(0)]
    }

    /// Any order is as likely as any other.
    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap_or(0);
            all.swap(last, other);
        }
    }
}
