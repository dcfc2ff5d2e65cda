//! Rows, what they are judged by, and how they are told: a table for people, JSON for programs.

use serde_json::{Value, json};

/// Several measurements of one thing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` without samples.
    pub(crate) fn of(samples: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut samples: Vec<f64> = samples.into_iter().collect();
        samples.sort_by(f64::total_cmp);
        let (min, max) = (*samples.first()?, *samples.last()?);
        let middle = samples.len() / 2;
        let below = if samples.len().is_multiple_of(2) { middle - 1 } else { middle };
        Some(Self { median: f64::midpoint(samples[below], samples[middle]), min, max })
    }

    fn text(&self) -> String {
        if self.min.total_cmp(&self.max).is_eq() {
            return number(self.median);
        }
        format!("{} [{}–{}]", number(self.median), number(self.min), number(self.max))
    }
}

/// What a target is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// Measured divided by floor.
    Ratio,
    /// Measured minus floor.
    Over,
    /// The value itself, for what does not depend on the machine's speed.
    Value,
}

/// A wanted value: at least, or at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    fn met_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(least) => format!("≥ {}", number(least)),
            Self::AtMost(most) => format!("≤ {}", number(most)),
        }
    }
}

/// One line of the report.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) measured: Spread,
    pub(crate) floor: Option<Spread>,
    pub(crate) judged: Judged,
    /// Ambitious, then extreme.
    pub(crate) targets: Option<[Target; 2]>,
}

impl Row {
    /// A row that is only told.
    pub(crate) fn told(name: impl Into<String>, unit: &'static str, measured: Spread) -> Self {
        let (floor, judged, targets) = (None, Judged::Value, None);
        Self { name: name.into(), unit, measured, floor, judged, targets }
    }

    /// With a word in front of its name.
    pub(crate) fn of(self, what: &str) -> Self {
        Self { name: format!("{what}: {}", self.name), ..self }
    }

    /// Beside its floor.
    pub(crate) fn beside(self, floor: Spread) -> Self {
        Self { floor: Some(floor), judged: Judged::Ratio, ..self }
    }

    /// With targets, ambitious and extreme.
    pub(crate) fn aims(self, judged: Judged, targets: [Target; 2]) -> Self {
        Self { judged, targets: Some(targets), ..self }
    }

    fn ratio(&self) -> Option<f64> {
        self.floor.as_ref().map(|floor| self.measured.median / floor.median)
    }

    fn value(&self) -> f64 {
        let floor = self.floor.as_ref().map_or(f64::NAN, |floor| floor.median);
        match self.judged {
            Judged::Ratio => self.measured.median / floor,
            Judged::Over => self.measured.median - floor,
            Judged::Value => self.measured.median,
        }
    }

    fn verdicts(&self) -> [String; 2] {
        let Some(targets) = self.targets else { return Default::default() };
        targets.map(|target| {
            let word = if target.met_by(self.value()) { "ok" } else { "missed" };
            let what = match self.judged {
                Judged::Ratio => "x ",
                Judged::Over => "over ",
                Judged::Value => "",
            };
            format!("{what}{} {word}", target.text())
        })
    }
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// For people: one line per row, columns aligned.
pub(crate) fn table(rows: &[Row]) -> String {
    let heads = ["row", "unit", "measured", "floor", "ratio", "ambitious", "extreme"];
    let mut cells = vec![heads.map(str::to_owned)];
    for row in rows {
        let [ambitious, extreme] = row.verdicts();
        cells.push([
            row.name.clone(),
            row.unit.to_owned(),
            row.measured.text(),
            row.floor.as_ref().map(Spread::text).unwrap_or_default(),
            row.ratio().map(number).unwrap_or_default(),
            ambitious,
            extreme,
        ]);
    }
    let wide = |column: usize| cells.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..heads.len()).map(|column| wide(column).unwrap_or(0)).collect();
    let line = |cells: &[String; 7]| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("| {} |", padded.join(" | "))
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let mut lines: Vec<String> = cells.iter().map(line).collect();
    lines.insert(1, format!("| {} |", rule.join(" | ")));
    lines.join("\n")
}

/// For programs: `{"rows": [...]}`, absent values are null.
pub(crate) fn json(rows: &[Row]) -> String {
    let spread =
        |spread: &Spread| json!({ "median": spread.median, "min": spread.min, "max": spread.max });
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            let met = row.targets.map(|targets| targets.map(|target| target.met_by(row.value())));
            json!({
                "row": row.name,
                "unit": row.unit,
                "measured": spread(&row.measured),
                "floor": row.floor.as_ref().map(spread),
                "ratio": row.ratio(),
                "ambitious": met.map(|met| met[0]),
                "extreme": met.map(|met| met[1]),
            })
        })
        .collect();
    json!({ "rows": rows }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(samples: &[f64]) -> Spread {
        Spread::of(samples.iter().copied()).unwrap()
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_two_in_the_middle() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert!((spread(&[4.0, 1.0, 2.0, 3.0]).median - 2.5).abs() < 1e-9);
    }

    #[test]
    fn a_row_is_judged_by_ratio_by_difference_or_by_itself() {
        let row = |judged, target| {
            Row::told("r", "u", spread(&[30.0])).beside(spread(&[20.0])).aims(judged, [target; 2])
        };
        let verdict = |judged, target| row(judged, target).verdicts()[0].clone();
        assert_eq!(verdict(Judged::Ratio, Target::AtLeast(1.5)), "x ≥ 1.50 ok");
        assert_eq!(verdict(Judged::Over, Target::AtMost(9.0)), "over ≤ 9.00 missed");
        assert_eq!(verdict(Judged::Value, Target::AtMost(40.0)), "≤ 40.0 ok");
    }

    #[test]
    fn the_table_is_aligned_and_tells_the_spread() {
        let rows = [
            Row::told("a", "1/s", spread(&[1234.0, 900.0, 2000.0])),
            Row::told("longer", "ms", spread(&[1.5]))
                .beside(spread(&[1.0]))
                .aims(Judged::Ratio, [Target::AtMost(2.0), Target::AtMost(1.3)]),
        ];
        let expected = "\
| row    | unit | measured        | floor | ratio | ambitious   | extreme         |
| ------ | ---- | --------------- | ----- | ----- | ----------- | --------------- |
| a      | 1/s  | 1234 [900–2000] |       |       |             |                 |
| longer | ms   | 1.50            | 1.00  | 1.50  | x ≤ 2.00 ok | x ≤ 1.30 missed |";
        assert_eq!(table(&rows), expected);
    }
}
