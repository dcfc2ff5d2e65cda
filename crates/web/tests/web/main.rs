//! The pages as a browser sees them, over a store that real events have filled.

mod access;
mod log;
mod pages;
mod projector;
mod site;
