//! What a run brought home, as its page shows it.

use aldis_domain::report::{
    PlanAction, PlanReport, Report, ResourceChange, StepReport, TestReport,
};
use aldis_domain::text;
use serde::Serialize;

use crate::words::{self, Badge};

/// The parts of a report besides its steps.
#[derive(Debug, Serialize)]
pub(super) struct ReportView {
    trouble: Option<String>,
    tests: Option<TestView>,
    plans: Vec<PlanView>,
    remarks: Vec<String>,
    /// How the machine isolated and limited the run.
    machine: Vec<String>,
}

/// A step as it went, or as it is planned.
#[derive(Debug, Serialize)]
pub(super) struct StepView {
    name: String,
    badge: Badge,
    took: Option<String>,
    exit: Option<i32>,
}

#[derive(Debug, Serialize)]
struct TestView {
    line: String,
    took: String,
    failures: Vec<FailureView>,
    /// Failures that the report does not name.
    more: u64,
}

#[derive(Debug, Serialize)]
struct FailureView {
    name: String,
    message: String,
}

#[derive(Debug, Serialize)]
struct PlanView {
    file: String,
    line: String,
    resources: Vec<ResourceView>,
}

#[derive(Debug, Serialize)]
struct ResourceView {
    class: &'static str,
    verb: &'static str,
    address: String,
    attributes: Vec<String>,
}

/// The steps with their results; before the run has told them, as the config file has them.
pub(super) fn steps(planned: &[String], report: &Report, current: Option<u32>) -> Vec<StepView> {
    if !report.steps.is_empty() {
        return report.steps.iter().map(told).collect();
    }
    let current = current.and_then(|step| usize::try_from(step).ok());
    let step = |(index, name): (usize, &String)| StepView {
        name: name.clone(),
        badge: words::planned_step_badge(index, current),
        took: None,
        exit: None,
    };
    planned.iter().enumerate().map(step).collect()
}

fn told(step: &StepReport) -> StepView {
    StepView {
        name: step.name.clone(),
        badge: words::step_badge(step.result),
        took: (step.millis > 0).then(|| text::duration(step.millis)),
        exit: step.exit.filter(|code| *code != 0),
    }
}

impl ReportView {
    pub(super) fn new(report: &Report) -> Self {
        Self {
            trouble: report.trouble.clone(),
            tests: report.tests.as_ref().map(tests),
            plans: report.plans.iter().map(plan).collect(),
            remarks: report.remarks.clone(),
            machine: report.machine.clone(),
        }
    }
}

fn tests(tests: &TestReport) -> TestView {
    let bad = tests.failed + tests.errored;
    let skipped =
        if tests.skipped > 0 { format!(", {} skipped", tests.skipped) } else { String::new() };
    let line = if bad == 0 {
        format!("{} passed", text::counted(tests.total.saturating_sub(tests.skipped), "test"))
    } else {
        text::test_line(tests)
    };
    let failures: Vec<FailureView> = tests
        .failures
        .iter()
        .map(|failure| FailureView { name: failure.name.clone(), message: failure.message.clone() })
        .collect();
    let named = u64::try_from(failures.len()).unwrap_or(u64::MAX);
    TestView {
        line: line + &skipped,
        took: text::duration(tests.millis),
        more: bad.saturating_sub(named),
        failures,
    }
}

fn plan(plan: &PlanReport) -> PlanView {
    PlanView {
        file: plan.file.clone(),
        line: text::plan_line(std::slice::from_ref(plan)).unwrap_or_default(),
        resources: plan.resources.iter().map(resource).collect(),
    }
}

fn resource(change: &ResourceChange) -> ResourceView {
    let (class, verb) = match change.action {
        PlanAction::Create => ("good", "create"),
        PlanAction::Update => ("warn", "update"),
        PlanAction::Delete => ("bad", "delete"),
        PlanAction::Replace => ("bad", "replace"),
        PlanAction::Read => ("calm", "read"),
    };
    ResourceView {
        class,
        verb,
        address: change.address.clone(),
        attributes: change.attributes.clone(),
    }
}
