//! Reads what steps left behind, as data: test results and plans.
//!
//! Called by the job when every process of the run is gone. Never here: a link that is followed, a
//! file that is trusted, a junk report that fails a run.

mod files;
mod junit;
mod plan;

use std::path::Path;

use aldis_domain::config::Reports;
use aldis_domain::report::{PlanReport, TestReport};

/// What the report files say.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) tests: Option<TestReport>,
    pub(crate) plans: Vec<PlanReport>,
    pub(crate) remarks: Vec<String>,
}

/// Remarks about report files; more are counted only.
const REMARKS: usize = 20;

/// Reads all reports of a stack. `dir` is the stack's directory below `tree`.
pub(crate) fn collect(tree: &Path, dir: &str, wanted: &Reports) -> Found {
    let mut found = Found::default();
    if wanted.junit.is_empty() && wanted.terraform_plan.is_empty() {
        return found;
    }
    let Some(place) = files::Place::open(tree, dir) else {
        found.remarks.push(format!("reports: the directory `{dir}` cannot be read"));
        return found;
    };
    let mut tests = TestReport::default();
    let mut any = false;
    for file in place.matching(&wanted.junit, &mut found.remarks) {
        let Some(bytes) = place.read(&file, &mut found.remarks) else { continue };
        match junit::add(&bytes, &mut tests) {
            Ok(()) => any = true,
            Err(why) => found.remarks.push(format!("{file}: not a readable JUnit file: {why}")),
        }
    }
    found.tests = any.then_some(tests);
    for file in place.matching(&wanted.terraform_plan, &mut found.remarks) {
        let Some(bytes) = place.read(&file, &mut found.remarks) else { continue };
        match plan::read(&file, &bytes) {
            Ok(report) => found.plans.push(report),
            Err(why) => found.remarks.push(format!("{file}: not a readable plan: {why}")),
        }
    }
    let more = found.remarks.len().saturating_sub(REMARKS);
    if more > 0 {
        found.remarks.truncate(REMARKS);
        found.remarks.push(format!("… and {more} more remarks on report files"));
    }
    found
}

#[cfg(test)]
mod tests;
