//! From a delivery to the decision which stacks run, and why.
