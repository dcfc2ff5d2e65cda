//! What a finished run tells: its outcome, its steps and the reports it left.

use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Passed,
    Failed,
    /// The stack's or a step's time was up.
    TimedOut,
    /// Ended on request: superseded, closed, `/cancel`.
    Canceled,
    /// A stack it needs did not pass, so it never started.
    Skipped,
    /// Every attempt lost its runner (test runs).
    Lost,
    /// The runner vanished while a tracked run was under way: nobody knows how far it got.
    Unknown,
    /// Nothing could be run: the commit is gone, the clone failed for good, the sandbox is missing.
    Broken,
}

/// One step of a finished attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    pub name: String,
    pub result: StepResult,
    /// Exit code of the step's shell, if it ended by itself; 128 + n for signal n.
    pub exit: Option<i32>,
    pub millis: u64,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepResult {
    Passed,
    Failed,
    /// Failed, and the file says that this is allowed.
    AllowedFailure,
    TimedOut,
    Canceled,
    /// Not run: `when` did not hold.
    Skipped,
}

/// Everything an attempt brings home. Counts and names only; the log is kept beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub steps: Vec<StepReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<TestReport>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<PlanReport>,
    /// What could not be read or was limited, in words for people: a report that is no XML, output
    /// that was cut.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// How the machine isolated and limited the run, in words: for the run page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machine: Vec<String>,
    /// One sentence on why nothing ran, for `Outcome::Broken` and for a failure outside any step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The last lines of the output, masked, no control characters but newline; at most 4 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tail: String,
}

/// Test results of all JUnit files together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestReport {
    pub total: u64,
    pub failed: u64,
    pub errored: u64,
    pub skipped: u64,
    pub millis: u64,
    /// Failed and errored tests, at most 50, in file order.
    pub failures: Vec<TestFailure>,
}

/// A test that did not pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestFailure {
    /// `classname::name`, as the file has it.
    pub name: String,
    /// First lines of the failure's message, at most 500 characters.
    pub message: String,
}

/// The exact change that one Terraform plan proposes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanReport {
    /// The report file's path.
    pub file: String,
    pub add: u64,
    pub change: u64,
    pub destroy: u64,
    /// In plan order, at most 200; replacements count as one add and one destroy.
    pub resources: Vec<ResourceChange>,
}

/// What happens to one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceChange {
    /// `aws_instance.web[0]`
    pub address: String,
    pub action: PlanAction,
    /// `attribute: before → after`, sensitive and unknown values named as such, at most 20.
    pub attributes: Vec<String>,
}

/// A plan's verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanAction {
    Create,
    Update,
    Delete,
    Replace,
    Read,
}
