//! What a runner and the run queue say to each other.
