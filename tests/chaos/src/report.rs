//! What a run came to, in words.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::Arguments;
use crate::converged::Converged;
use crate::oracle::Figures;
use crate::part::Told;
use crate::post::Mangled;
use crate::say;
use crate::tally::Tally;

/// Everything that is told of a run.
pub(crate) struct Outcome {
    /// Merge requests looked at.
    pub(crate) looked_at: usize,
    pub(crate) problems: Vec<String>,
    pub(crate) mangled: Mangled,
    /// Verdicts that a person had to ask for again.
    pub(crate) lost: u64,
    pub(crate) figures: Figures,
    pub(crate) told: Told,
    pub(crate) tally: Tally,
    pub(crate) converged: Converged,
    /// Nothing was left to do, after the last fault and the last thing that anybody did.
    pub(crate) at_rest: Duration,
    pub(crate) took: Duration,
    /// Until the last of many runs, if so many were asked for at once.
    pub(crate) burst: Option<Duration>,
    /// Where the log was kept, if something was wrong.
    pub(crate) log: Option<PathBuf>,
}

impl Outcome {
    /// Prints the figures; whether all is as it should be.
    pub(crate) fn report(&self, arguments: &Arguments) -> bool {
        let mut problems = self.problems.clone();
        problems.extend(self.tally.shortfalls());
        problems.extend(self.told.panics.iter().cloned());
        problems.extend(self.told.bad_ends.iter().cloned());
        if arguments.burst.is_none() && arguments.faults.is_long() {
            problems.extend(self.mangled.shortfalls());
        }
        self.tell();
        for end in &self.told.own_ends {
            say(&format!("  ended by itself: {end}"));
        }
        for problem in &problems {
            say(&format!("  PROBLEM: {problem}"));
        }
        if let Some(log) = &self.log {
            say(&format!("all that happened: {}", log.display()));
        }
        let good = problems.is_empty() && self.looked_at > 0;
        let verdict =
            if good { "nothing lost, nothing doubled, nothing left undone" } else { "NOT GOOD" };
        say(&format!("{verdict}; {} merge requests looked at", self.looked_at));
        good
    }

    fn tell(&self) {
        let Self { mangled, told, figures, .. } = self;
        say(&format!(
            "{} merge requests, {} runs, {} events in {:.0} s; {} lines and {} deployments compared",
            self.looked_at,
            figures.runs,
            figures.events,
            self.took.as_secs_f32(),
            figures.lines,
            figures.deployments
        ));
        if let Some(until_last) = self.burst {
            let runs = f64::from(u32::try_from(figures.runs).unwrap_or(u32::MAX));
            let per_second = runs / until_last.as_secs_f64();
            say(&format!("{per_second:.1} runs per second until the last verdict"));
        }
        say(&format!(
            "webhooks: {} doubled and {} copied of {}, {} overtaken by later ones, {} not answered \
             and resent by hand, {} copied once more at the end",
            mangled.doubled,
            mangled.copied,
            mangled.fired,
            mangled.overtaken,
            mangled.resent,
            mangled.late
        ));
        let faults = self.tally.told();
        if !faults.is_empty() {
            say(&format!("faults: {faults}"));
        }
        say(&format!(
            "processes: {} kills in all, {} of them at {} points; {} ended by themselves; the \
             longest took {:.1} s to end when asked",
            told.kills,
            told.points.len(),
            told.points.iter().collect::<BTreeSet<_>>().len(),
            told.own_ends.len(),
            told.longest_end.as_secs_f32()
        ));
        say(&format!(
            "runs: {} attempts lost their runner, {} asked for again by hand, {} of unknown outcome",
            figures.attempts_lost, self.lost, figures.unknown
        ));
        self.tell_times();
    }

    fn tell_times(&self) {
        let Converged { awaited, later, .. } = self.converged;
        let seconds = |time: Duration| time.as_secs_f32();
        say(&format!(
            "waits for a verdict: usually {:.1} s, at most {:.0} s",
            seconds(self.converged.usual),
            seconds(self.converged.longest)
        ));
        let later_stood = seconds(self.converged.later_stood);
        if awaited == 0 {
            say(&format!("all {later} verdicts stood within {later_stood:.1} s"));
        } else {
            say(&format!(
                "all {awaited} verdicts that were awaited when the last fault was over stood \
                 {:.1} s later, {later} asked for after it within {later_stood:.1} s",
                seconds(self.converged.awaited_stood)
            ));
        }
        say(&format!(
            "after the last fault and the last thing that anybody did: last change in GitLab after \
             {:.1} s (of {}), all at rest after {:.1} s; something was in doubt in {} projects",
            seconds(self.converged.written),
            self.converged.written_to,
            seconds(self.at_rest),
            self.converged.in_doubt
        ));
    }
}
