//! A bot moves from any engine to any other.

#[cfg(test)]
mod moving {
    mod place;
    mod refusals;
    mod ways;
}
