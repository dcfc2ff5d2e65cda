//! The run queue that runners talk to.
