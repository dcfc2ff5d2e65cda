//! What was found, one line per check, for people and for programs.

use serde::Serialize;

/// How good it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Mark {
    Ok,
    /// It works, but not as well or as safely as it could.
    Warn,
    /// It does not work.
    Fail,
}

#[derive(Debug, Serialize)]
struct Check {
    mark: Mark,
    check: &'static str,
    /// As the project was named; `None`: no project's.
    project: Option<String>,
    found: String,
    /// What to do about it. `None`: nothing.
    advice: Option<String>,
}

/// All checks so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    checks: Vec<Check>,
    project: Option<String>,
}

impl Report {
    /// What follows is about this project.
    pub(super) fn about(&mut self, project: &str) {
        self.project = Some(clean(project));
    }

    pub(super) fn ok(&mut self, check: &'static str, found: impl AsRef<str>) {
        self.add(Mark::Ok, check, found.as_ref(), None);
    }

    pub(super) fn warn(
        &mut self,
        check: &'static str,
        found: impl AsRef<str>,
        advice: impl AsRef<str>,
    ) {
        self.add(Mark::Warn, check, found.as_ref(), Some(advice.as_ref()));
    }

    pub(super) fn fail(
        &mut self,
        check: &'static str,
        found: impl AsRef<str>,
        advice: impl AsRef<str>,
    ) {
        self.add(Mark::Fail, check, found.as_ref(), Some(advice.as_ref()));
    }

    fn add(&mut self, mark: Mark, check: &'static str, found: &str, advice: Option<&str>) {
        let project = self.project.clone();
        self.checks.push(Check {
            mark,
            check,
            project,
            found: clean(found),
            advice: advice.map(clean),
        });
    }

    pub(super) fn failed(&self) -> bool {
        self.count(Mark::Fail) > 0
    }

    fn count(&self, mark: Mark) -> usize {
        self.checks.iter().filter(|check| check.mark == mark).count()
    }

    /// A JSON array.
    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(&self.checks).expect("texts are JSON")
    }

    /// For a terminal or a file.
    pub(super) fn text(&self, colour: bool) -> String {
        let width = self.checks.iter().map(|check| check.check.len()).max().unwrap_or(0);
        let mut text = String::new();
        let mut project = None;
        for check in &self.checks {
            if check.project != project {
                project.clone_from(&check.project);
                let name = project.as_deref().unwrap_or_default();
                text.push_str(&format!("\nproject {name}\n"));
            }
            let (word, code) = match check.mark {
                Mark::Ok => ("ok  ", "32"),
                Mark::Warn => ("warn", "1;33"),
                Mark::Fail => ("FAIL", "1;31"),
            };
            let word = if colour { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() };
            text.push_str(&format!("{word}  {:width$}  {}\n", check.check, check.found));
            if let Some(advice) = &check.advice {
                text.push_str(&format!("      {:width$}  -> {advice}\n", ""));
            }
        }
        let (ok, warn, fail) =
            (self.count(Mark::Ok), self.count(Mark::Warn), self.count(Mark::Fail));
        text.push_str(&format!("\n{ok} ok, {warn} to consider, {fail} failed\n"));
        text
    }
}

/// One line, without anything that a terminal would obey: some of it comes from GitLab.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
