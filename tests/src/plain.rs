//! Takes out of a text what differs from one time to the next: addresses, run ids, durations.

/// `text` with `ALDIS` and `GITLAB` for the two addresses, `RUN` for run ids and `T` for durations.
pub(crate) fn plain(text: &str, aldis: &str, gitlab: &str) -> String {
    let text = text.replace(aldis, "ALDIS").replace(gitlab, "GITLAB");
    durations(&run_ids(&text))
}

fn run_ids(text: &str) -> String {
    let mut parts = text.split("/runs/");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("/runs/RUN");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_alphanumeric()));
    }
    out
}

/// `12 ms`, `3 s` and `1 min 20 s` as `T`.
fn durations(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let digits = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        let behind = &from[digits..];
        let alone = !out.ends_with(|c: char| c.is_alphanumeric());
        let unit = [" ms", " s", " min"].into_iter().find(|unit| {
            behind.strip_prefix(unit).is_some_and(|r| !r.starts_with(|c: char| c.is_alphanumeric()))
        });
        if let Some(unit) = unit.filter(|_| alone) {
            out.push('T');
            rest = &behind[unit.len()..];
        } else {
            out.push_str(&from[..digits]);
            rest = behind;
        }
    }
    out.push_str(rest);
    out.replace("T T", "T")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_taken_out() {
        let text = "http://h:1/runs/abc123) passed in 12 ms, 3 stacks, 1 min 20 s; v1.0 s2 s";
        let seen = plain(text, "http://h:1", "http://g:2");
        assert_eq!(seen, "ALDIS/runs/RUN) passed in T, 3 stacks, T; v1.0 s2 s");
    }
}
