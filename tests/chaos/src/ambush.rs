//! Kills of runners around the steps of a run. They have no database whose commits could be points:
//! a request is caught on its way, and the runner is dead before it or its answer goes on.

use std::future::ready;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::crew::Crew;
use crate::fault::Link;
use crate::faults::{Course, LOOK_EVERY, MET, THERE, until};
use crate::part::{FAREWELL, Part};
use crate::points::{Step, step_at};
use crate::way::Way;

/// How long a trap is set before it is looked whether the day is over.
const SET: Duration = Duration::from_secs(5);
/// Longest wait for what must come by itself: a runner that is asked to end hands back after 5 s.
const HANDED_BACK: Duration = Duration::from_secs(10);

/// Who is to die, where and when.
struct Ambush<'a> {
    point: &'a str,
    part: &'a Part,
    step: Step,
    way: &'a Way,
    to_gitlab: &'a Way,
}

/// Returns when the runner was killed at this point, and is back.
pub(crate) async fn ambush(crew: &Crew, course: &Course, part: usize, point: &str) -> Result<()> {
    let step = step_at(point).context("a runner has no such point")?;
    let (way, to_gitlab) = (crew.way(part, step.link), crew.way(part, Link::GitLab));
    let part = crew.part(part);
    let _one = part.pointed.lock().await;
    let ambush = Ambush { point, part, step, way, to_gitlab };
    let begun = Instant::now();
    while !part.met(point).await {
        if begun.elapsed() > MET || course.is_deserted() {
            bail!("it was not met within {} s", begun.elapsed().as_secs());
        }
        if step.is_rare { ambush.bring_about().await } else { ambush.lie_in_wait().await }
    }
    until(THERE, "it does not come back", || part.is_at_work()).await
}

impl Ambush<'_> {
    async fn lie_in_wait(&self) {
        let caught = tokio::time::timeout(SET, self.way.catch(self.step.trap)).await;
        // What is caught while another fault has the process goes on: either would spoil the other.
        if let (Ok(caught), Ok(_hands)) = (caught, self.part.hands.try_lock())
            && self.part.kill_at(self.point).await
        {
            caught.lose();
        }
    }

    /// Asks the runner to end when it has a run that it cannot begin, so that it hands it back.
    async fn bring_about(&self) {
        let _hands = self.part.hands.lock().await;
        let dark = self.to_gitlab.darken().await;
        let fetches = until(THERE, "no commit is fetched", || ready(dark.has_swallowed())).await;
        if fetches.is_err() || !self.part.ask_to_end().await {
            tokio::time::sleep(LOOK_EVERY).await;
            return;
        }
        let caught = tokio::time::timeout(HANDED_BACK, self.way.catch(self.step.trap)).await;
        if let Ok(caught) = caught
            && self.part.kill_at(self.point).await
        {
            caught.lose();
            return;
        }
        // Only deployments, which nobody hands back: when they are done it ends, and begins anew.
        drop(dark);
        let gone = || async { !self.part.is_at_work().await };
        if until(FAREWELL, "it does not end", gone).await.is_ok() {
            // Whoever waits for the point notices if it stays away.
            let _ = until(THERE, "it does not come back", || self.part.is_at_work()).await;
        }
    }
}
