//! Very much at once, and nothing breaks.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aldis_gitlab_sim::JobState;
use anyhow::{Result, bail};

use crate::crew::Crew;
use crate::say;
use crate::town::{Expected, Verdict, aggregate, house};

/// Stacks of each merge request: so many runs it asks for.
const STACKS: u16 = 50;
/// Merge requests of each project.
const TOGETHER: u64 = 10;
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Between two lines for whoever watches.
const TOLD_EVERY: u32 = 10;
/// Longest wait for all runs: what two cores do in this time is far more.
const PATIENCE: Duration = Duration::from_mins(30);

/// Opens merge requests that ask for `runs` together, and waits until all are green.
pub(crate) async fn burst(crew: &Arc<Crew>, runs: u64) -> Result<Vec<Expected>> {
    let mut expected = Vec::new();
    let changes = runs.div_ceil(u64::from(STACKS));
    for house_number in 0..changes.div_ceil(TOGETHER) {
        let (project, user) = house(crew, house_number, &config())?;
        for number in house_number * TOGETHER..changes.min((house_number + 1) * TOGETHER) {
            let branch = format!("change-{number}");
            let text = format!("true # {number}\n");
            let files = [("test.sh", Some(text.as_str()))];
            let sha = crew.sim.by(user).commit_and_push(project, &branch, &files, &branch)?;
            let mr = crew.sim.by(user).propose(project, &branch, &branch)?;
            let headline = format!("{STACKS} stacks passed");
            expected.push(Expected {
                mrs: vec![mr],
                project,
                commits: vec![(sha, Verdict::Green)],
                stacks: usize::from(STACKS),
                headline,
            });
        }
    }
    let begun = Instant::now();
    for look in 0_u32.. {
        let states = expected.iter().map(|e| aggregate(crew, e.project, &e.commits[0].0));
        let states: Vec<_> = states.collect();
        let green = states.iter().filter(|state| **state == Some(JobState::Success)).count();
        if green == expected.len() {
            break;
        }
        if look.is_multiple_of(TOLD_EVERY) {
            say(&format!("{green:>6} of {} merge requests are green", expected.len()));
        }
        if begun.elapsed() > PATIENCE || states.contains(&Some(JobState::Failed)) {
            bail!("the merge requests end as {states:?}");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(expected)
}

fn config() -> String {
    let mut config = "version: 1\nstacks:\n".to_owned();
    for number in 1..=STACKS {
        // Writing to a text cannot fail.
        let _ =
            writeln!(config, "  part-{number}: {{ steps: [{{ name: test, run: sh ./test.sh }}] }}");
    }
    config
}
