//! Pages for people: what came in, what was decided and why, what runs and what it says.
//!
//! The binary runs [`Projector::run_once`] in a loop and mounts [`configure_pages`]. Pages read
//! documents, logs and streams; never here: an append, a call that changes GitLab, or foreign text
//! that reaches HTML unescaped.

mod access;
mod assets;
mod links;
mod live;
mod log;
mod pages;
mod projector;
mod state;
mod terminal;
mod view;
mod words;

pub use access::guard;
pub use pages::{configure_pages, configure_probes};
pub use projector::{PROJECTIONS, ProjectionError, Projector, Step, rebuild, step};
pub use state::{Intake, Settings, State};
