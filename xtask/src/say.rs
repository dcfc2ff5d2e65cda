//! What xtask itself says, apart from what the programs print that it starts.
//! A closed pipe is no reason to stop halfway, so failed writes are ignored.

use std::io::Write as _;
use std::time::Duration;

/// One line on standard output, at once: programs that follow write to the same terminal.
pub(crate) fn out(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// One line on standard error.
pub(crate) fn err(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// `0.4 s`, `12 s`, `3 min 07 s`.
pub(crate) fn lasted(time: Duration) -> String {
    match time.as_secs() {
        0..=9 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 10..=59 => format!("{seconds} s"),
        seconds => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::lasted;
    use std::time::Duration;

    #[test]
    fn times_read_well_at_every_size() {
        let words = [400, 9_940, 12_000, 59_999, 60_000, 3_607_000]
            .map(|millis| lasted(Duration::from_millis(millis)));
        assert_eq!(words, ["0.4 s", "9.9 s", "12 s", "59 s", "1 min 00 s", "60 min 07 s"]);
    }
}
