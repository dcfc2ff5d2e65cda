//! What every engine must do. Each case gets fresh stores from the engine's [`Bench`].

#![expect(clippy::unwrap_used, reason = "a test whose surroundings fail has failed")]

mod conformance {
    pub(crate) mod bench;
    mod beside;
    mod log;
    mod units;
    mod views;
    mod work;
}
