//! What a person would see, as text that is the same each time: commits by name, `ALDIS` and
//! `GITLAB` for addresses, `T` for durations.

use aldis_domain::event::Event;
use aldis_domain::event::delivery::DeliveryVerdict;
use aldis_gitlab_sim::{MergeRequestRef, NoteView, PipelineView, ProjectId};

use crate::plain::plain;
use crate::story::Story;

impl Story {
    /// Without addresses, run ids and durations.
    pub fn plain(&self, text: &str) -> String {
        plain(text, &self.bot.base_url, self.sim.url())
    }

    /// Every visible change so far, one line each.
    pub fn timeline(&self) -> String {
        self.plain(&self.sim.timeline().join("\n"))
    }

    /// The timeline's lines that hold this text.
    pub fn timeline_of(&self, text: &str) -> String {
        let lines = self.timeline();
        lines.lines().filter(|line| line.contains(text)).collect::<Vec<_>>().join("\n")
    }

    /// The states that a line of a commit went through, in all its pipelines.
    pub fn states(&self, name: &str, line: &str) -> Vec<String> {
        let begin = format!(" {name} {line}: ");
        let timeline = self.timeline();
        let told = timeline.lines().filter_map(|told| told.split_once(&begin));
        let state = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
        told.map(|(_, text)| state(text)).collect()
    }

    /// The commit's pipelines in the story's project, oldest first.
    pub fn pipelines(&self, name: &str) -> Vec<PipelineView> {
        let mut pipelines = self.sim.pipeline_views(self.project, &self.sha(name));
        pipelines.reverse();
        pipelines
    }

    /// The same as text.
    pub fn statuses(&self, name: &str) -> String {
        self.statuses_in(self.project, name)
    }

    /// The commit's pipelines in another project, oldest first, as text.
    pub fn statuses_in(&self, project: ProjectId, name: &str) -> String {
        let pipelines = self.sim.pipeline_views(project, &self.sha(name));
        let texts: Vec<String> = pipelines.iter().rev().map(ToString::to_string).collect();
        self.plain(&texts.join("\n"))
    }

    /// Whether the newest pipeline of the commit shows the line in this state.
    pub fn shows(&self, name: &str, line: &str, state: &str) -> bool {
        let pipelines = self.pipelines(name);
        pipelines.last().is_some_and(|pipeline| {
            pipeline.jobs.iter().any(|job| job.name == line && job.state.to_string() == state)
        })
    }

    /// The bot's comments on a merge request.
    pub fn notes(&self, mr: MergeRequestRef) -> Vec<NoteView> {
        let page = self.sim.merge_request_page(mr).expect("the merge request");
        page.notes.into_iter().filter(|note| note.author == "aldis").collect()
    }

    /// The merge request's page: head, pipeline and comments. How often a comment was edited on
    /// the way depends on what was known when, so that is left out.
    pub fn page(&self, mr: MergeRequestRef) -> String {
        let page = self.sim.merge_request_page(mr).expect("the merge request").to_string();
        self.plain(&page.replace(" (edited):\n", ":\n"))
    }

    /// The second line of the bot's comment: its headline. Empty without a comment.
    pub fn headline(&self, mr: MergeRequestRef) -> String {
        let notes = self.notes(mr);
        let line = notes.first().and_then(|note| note.body.lines().nth(1).map(str::to_owned));
        line.unwrap_or_default()
    }

    /// The Environments page of the story's project.
    pub fn environments(&self) -> String {
        let page = self.sim.environment_page(self.project).expect("the project");
        self.plain(&page.to_string())
    }

    /// Every run that was ever asked for, oldest first: `A ci: passed`.
    pub async fn runs(&self) -> String {
        let log = self.log().await;
        let lines = log.iter().filter_map(|(stream, event)| {
            let Event::RunRequested(run) = event else { return None };
            let ended = log.iter().rev().find_map(|(other, event)| match event {
                Event::RunFinished(finished) if other == stream => Some(finished),
                _ => None,
            });
            let outcome = ended.map_or("open".to_owned(), |f| format!("{:?}", f.outcome));
            let trouble = ended.and_then(|f| f.report.trouble.clone());
            let trouble = trouble.map(|text| format!(", {text}")).unwrap_or_default();
            let tracked = if run.deploys.is_some() { " (tracked)" } else { "" };
            let name = self.named(run.sha.as_str());
            Some(format!("{name} {}{tracked}: {}{trouble}", run.stack, outcome.to_lowercase()))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// What each delivery came to, in the order in which they were received.
    pub async fn verdicts(&self) -> Vec<String> {
        let log = self.log().await;
        let decided = log.iter().filter_map(|(_, event)| match event {
            Event::DeliveryDecided(decided) => Some(&decided.verdict),
            _ => None,
        });
        let words = |verdict: &DeliveryVerdict| match verdict {
            DeliveryVerdict::Planned => "planned".to_owned(),
            DeliveryVerdict::Ended => "ended".to_owned(),
            DeliveryVerdict::Noted => "noted".to_owned(),
            DeliveryVerdict::Ignored { reason } => format!("ignored: {reason}"),
            DeliveryVerdict::Command { reason } => format!("command: {reason}"),
            DeliveryVerdict::Unreadable { reason, .. } => format!("unreadable: {reason}"),
        };
        decided.map(words).collect()
    }

    fn named(&self, sha: &str) -> String {
        let names = self.names.lock().expect("no story panics while it names");
        let found = names.iter().find(|(_, known)| *known == sha).map(|(name, _)| name.clone());
        found.unwrap_or_else(|| sha.chars().take(8).collect())
    }
}
