//! Commits that runs will probably need, from the log: what was admitted is planned next, and most
//! of it runs. Fetching meanwhile takes the fetch out of a run's way, and joins those of a crowd.

use std::collections::HashMap;
use std::time::Duration;

use aldis_bus::Topic;
use aldis_domain::event::Event;
use aldis_domain::event::resource::LaneAdmitted;
use aldis_domain::id::{ChangeKey, ProjectKey};
use aldis_domain::stream;
use aldis_protocol::{Announced, Commit, Source};
use aldis_store::StoreError;

use crate::Dispatch;

/// Without a hint nothing is missed: a run fetches what it needs.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// Events read at a time.
const PAGE: usize = 512;

impl Dispatch {
    pub(crate) async fn next_announced(&self, after: Option<i64>) -> Announced {
        let mut listener = self.bus.listen(Topic::Commit);
        let mut upto = after;
        loop {
            listener.hush();
            match self.admitted(upto).await {
                Ok(news) if !news.commits.is_empty() => return news,
                Ok(news) => upto = Some(news.upto),
                Err(error) => tracing::warn!(%error, "cannot look for commits to fetch ahead"),
            }
            listener.wait(LOOK_EVERY).await;
        }
    }

    async fn admitted(&self, after: Option<i64>) -> Result<Announced, StoreError> {
        let Some(mut upto) = after else {
            let upto = self.store.head().await?.position;
            return Ok(Announced { upto, commits: Vec::new() });
        };
        let mut lanes: Vec<LaneAdmitted> = Vec::new();
        loop {
            let page = self.store.read(upto, PAGE).await?;
            upto = page.last().map_or(upto, |last| last.position);
            let admitted = page.iter().filter(|envelope| envelope.kind == LANE_ADMITTED);
            lanes.extend(admitted.filter_map(|envelope| match envelope.event() {
                Ok(Event::LaneAdmitted(lane)) => Some(lane),
                _ => None,
            }));
            if page.len() < PAGE {
                break;
            }
        }
        let mut sources = HashMap::new();
        let mut commits = Vec::new();
        for lane in lanes {
            if let Some(source) = self.source_of(lane.project, &mut sources).await? {
                let LaneAdmitted { project, sha, change, .. } = lane;
                commits.push(Commit { project, sha, git_ref: git_ref(&change), source });
            }
        }
        Ok(Announced { upto, commits })
    }

    async fn source_of(
        &self,
        project: ProjectKey,
        known: &mut HashMap<ProjectKey, Option<Source>>,
    ) -> Result<Option<Source>, StoreError> {
        if let Some(source) = known.get(&project) {
            return Ok(source.clone());
        }
        let observed = self.project(&stream::project(project)).await?;
        let source = observed.map(|observed| self.git.source(&observed.path));
        known.insert(project, source.clone());
        Ok(source)
    }
}

const LANE_ADMITTED: &str = "lane_admitted";

fn git_ref(change: &ChangeKey) -> String {
    match change {
        ChangeKey::Ref { name, .. } => name.clone(),
        ChangeKey::MergeRequest { iid, .. } => format!("refs/merge-requests/{iid}/head"),
    }
}
