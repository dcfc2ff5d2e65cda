//! The steps of a run, one after the other, each with its time limit and its conditions.

use std::collections::BTreeMap;
use std::time::Duration;

use aldis_domain::config::{Network, Step, When};
use aldis_domain::report::{Outcome, Report, StepReport, StepResult};
use aldis_protocol::Assignment;
use tokio::time::Instant;

use crate::executor::{Ended, Executor, StartError, StepSpec};
use crate::lease::{Interrupt, Lease};
use crate::output::Log;
use crate::quota;
use crate::settings::Settings;
use crate::workspace::RunDir;

/// Once the stack's time is up, steps that run nevertheless (`when: always` and the like) get this
/// long together.
const AFTERWARDS: Duration = Duration::from_mins(5);
/// After SIGKILL the kernel has this long to make an end.
const BURIAL: Duration = Duration::from_secs(5);

/// What the steps came to.
pub(crate) struct Stepped {
    pub(crate) outcome: Outcome,
    pub(crate) report: Report,
    pub(crate) interrupt: Option<Interrupt>,
}

/// How one step ended.
enum End {
    Exit(i32),
    TimedOut,
    OverQuota,
    Interrupted(Interrupt),
    NotStarted(String, Outcome),
}

impl From<Ended> for End {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Exit(code) => Self::Exit(code),
            Ended::NoSandbox => Self::NotStarted(
                "the sandbox could not be set up; its words are in the log".to_owned(),
                Outcome::Broken,
            ),
        }
    }
}

struct Course<'a> {
    assignment: &'a Assignment,
    settings: &'a Settings,
    lease: &'a Lease,
    run_dir: &'a RunDir,
    /// The stack's end; moved once when it has passed.
    deadline: Instant,
    outcome: Outcome,
    report: Report,
}

/// Runs the steps in order.
pub(crate) async fn run_all(
    mut executor: Executor<'_>,
    assignment: &Assignment,
    settings: &Settings,
    lease: &Lease,
    run_dir: &RunDir,
    log: &mut Log,
) -> Stepped {
    let mut course = Course {
        assignment,
        settings,
        lease,
        run_dir,
        deadline: Instant::now() + assignment.stack.timeout,
        outcome: Outcome::Passed,
        report: Report::default(),
    };
    let mut interrupt = None;
    for (number, step) in (0_u32..).zip(&assignment.stack.steps) {
        if interrupt.is_some() {
            course.skip(step, StepResult::Canceled);
            continue;
        }
        let is_due = match step.when {
            When::Always => true,
            When::OnSuccess => course.outcome == Outcome::Passed,
            When::OnFailure => course.outcome != Outcome::Passed,
        };
        if !is_due || course.outcome == Outcome::Broken {
            course.skip(step, StepResult::Skipped);
            continue;
        }
        let begun = Instant::now();
        let end = course.run_step(&mut executor, number, step, log).await;
        interrupt = course.note(step, end, begun.elapsed(), number, log);
    }
    Stepped { outcome: course.outcome, report: course.report, interrupt }
}

impl Course<'_> {
    fn skip(&mut self, step: &Step, result: StepResult) {
        let name = step.name.clone();
        self.report.steps.push(StepReport { name, result, exit: None, millis: 0 });
    }

    async fn run_step(
        &mut self,
        executor: &mut Executor<'_>,
        number: u32,
        step: &Step,
        log: &mut Log,
    ) -> End {
        log.line(number, &format!("$ {}", step.name));
        let wants_network = self.assignment.stack.network == Network::Default;
        let spec = StepSpec {
            number,
            script: step.run.join("\n") + "\n",
            env: self.env(step),
            dir: &self.assignment.stack.dir,
            run_dir: self.run_dir,
            network: wants_network && !self.assignment.untrusted,
        };
        let running = match executor.start(&spec).await {
            Ok(running) => running,
            Err(error @ (StartError::Dir(_) | StartError::Env(_))) => {
                return End::NotStarted(error.to_string(), Outcome::Failed);
            }
            Err(error @ StartError::Io(_)) => {
                return End::NotStarted(error.to_string(), Outcome::Broken);
            }
        };
        let own = step.timeout.map(|timeout| Instant::now() + timeout);
        let deadline = own.map_or(self.deadline, |own| own.min(self.deadline));
        let control = running.control();
        let finish = running.finish(log, number);
        tokio::pin!(finish);
        let end = tokio::select! {
            ended = &mut finish => return ended.into(),
            () = tokio::time::sleep_until(deadline) => End::TimedOut,
            () = quota::exceeded(self.run_dir.root.clone(), self.settings.limits.disk, number == 0) => End::OverQuota,
            interrupt = self.lease.interrupted() => End::Interrupted(interrupt),
        };
        control.terminate();
        if tokio::time::timeout(self.settings.grace, &mut finish).await.is_err() {
            control.kill();
            if tokio::time::timeout(BURIAL, &mut finish).await.is_err() {
                tracing::error!(run = %self.assignment.ticket.run, "a killed step does not end");
            }
        }
        end
    }

    /// The run's, the stack's and the step's variables; later ones win.
    fn env(&self, step: &Step) -> Vec<(String, String)> {
        let mut env: BTreeMap<&str, &str> = BTreeMap::new();
        env.extend(self.assignment.env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        for more in [&self.assignment.stack.env, &step.env] {
            env.extend(more.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        }
        env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Writes a step's end down; answers an interrupt, after which nothing runs.
    fn note(
        &mut self,
        step: &Step,
        end: End,
        took: Duration,
        number: u32,
        log: &mut Log,
    ) -> Option<Interrupt> {
        let mut exit = None;
        let mut interrupt = None;
        let (result, outcome) = match end {
            End::Exit(code) => {
                exit = Some(code);
                if code == 0 {
                    (StepResult::Passed, Outcome::Passed)
                } else {
                    log.line(number, &format!("exit code {code}"));
                    (StepResult::Failed, Outcome::Failed)
                }
            }
            End::TimedOut => {
                log.line(number, &format!("time is up after {} s", took.as_secs()));
                if Instant::now() >= self.deadline {
                    self.deadline = Instant::now() + AFTERWARDS;
                }
                (StepResult::TimedOut, Outcome::TimedOut)
            }
            End::OverQuota => {
                let most = self.settings.limits.disk >> 20;
                let why = format!("the run was ended: its files take more than {most} MiB");
                log.line(number, &why);
                self.report.remarks.push(why);
                (StepResult::Failed, Outcome::Failed)
            }
            End::Interrupted(why) => {
                interrupt = Some(why);
                (StepResult::Canceled, Outcome::Canceled)
            }
            End::NotStarted(why, outcome) => {
                log.line(number, &why);
                self.report.trouble = Some(why);
                (StepResult::Failed, outcome)
            }
        };
        let is_allowed =
            step.allow_failure && matches!(outcome, Outcome::Failed | Outcome::TimedOut);
        let result = if is_allowed { StepResult::AllowedFailure } else { result };
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.report.steps.push(StepReport { name: step.name.clone(), result, exit, millis });
        if !is_allowed && weight(outcome) > weight(self.outcome) {
            self.outcome = outcome;
        }
        interrupt
    }
}

/// The worst step decides.
fn weight(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Passed => 0,
        Outcome::Failed => 1,
        Outcome::TimedOut => 2,
        Outcome::Broken => 3,
        _ => 4,
    }
}
