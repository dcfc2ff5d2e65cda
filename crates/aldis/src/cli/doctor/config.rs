//! The config file on a project's default branch.

use aldis_domain::config::{Finding, read};
use aldis_gitlab::{Error, Project};

use super::report::Report;

const CHECK: &str = "config";
/// Bytes that are asked for at most; the reader's limit is below.
const ENOUGH: usize = 1 << 20;

pub(super) async fn check(report: &mut Report, project: Project<'_>, branch: &str) {
    let file = Finding::FILE;
    let text = match project.file(file, branch, ENOUGH).await {
        Ok(Some(text)) => text,
        Ok(None) => {
            return report.warn(
                CHECK,
                format!("there is no {file} on {branch}: nothing runs and nothing is posted"),
                format!("add {file}, and check it with `aldis lint`"),
            );
        }
        Err(Error::TooLong(_)) => {
            return report.fail(
                CHECK,
                format!("{file} on {branch} is too large"),
                "make it smaller",
            );
        }
        Err(error) => {
            return report.warn(
                CHECK,
                format!("{file} on {branch} cannot be read: {}", error.context()),
                "see that the bot may read the repository (Reporter or higher)",
            );
        }
    };
    let more = |findings: &[Finding]| match findings.len() {
        0 | 1 => String::new(),
        many => format!(" (and {} more)", many - 1),
    };
    let first = |findings: &[Finding]| {
        let worst = findings.iter().find(|finding| finding.is_error()).or(findings.first());
        worst.map(ToString::to_string).unwrap_or_default()
    };
    match read(&text) {
        Ok((config, warnings)) if warnings.is_empty() => {
            let stacks: Vec<&str> = config.stacks.keys().map(String::as_str).collect();
            report.ok(CHECK, format!("{file} on {branch} is good; stacks: {}", stacks.join(", ")));
        }
        Ok((_, warnings)) => report.warn(
            CHECK,
            format!("on {branch}: {}{}", first(&warnings), more(&warnings)),
            "it is used as it stands; `aldis lint` shows all",
        ),
        Err(findings) => report.fail(
            CHECK,
            format!("on {branch}: {}{}", first(&findings), more(&findings)),
            "correct it; `aldis lint` shows all",
        ),
    }
}
