//! The aldis binary: command line, settings, wiring.
