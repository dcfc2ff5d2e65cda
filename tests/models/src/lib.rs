//! Protocols of Aldis as models, of which every reachable state is looked at: who does what in which
//! order, what may fail between any two steps, and what must hold none the less.
//!
//! Used by this package's tests only. Where `aldis_domain` decides, the models let it decide. Each
//! guard of a protocol can be taken away, to see what goes wrong without it; see `docs/models.md`.

pub mod check;
pub mod note;
pub mod run_lease;
