//! A bot moves from any engine to any other, and from any older version to this one.

#[cfg(test)]
mod moving {
    mod older;
    mod place;
    mod refusals;
    mod ways;
}
