//! From settings to the things that services are made of.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aldis_gitlab::{CallRecord, GitLab};
use aldis_store::{ApiCall, Store};
use anyhow::{Context, Result};
use tokio::sync::mpsc;

use crate::settings::GitLabSettings;

/// Audit rows that wait to be written; beyond that rows are dropped rather than calls held up.
const WAITING_CALLS: usize = 10_000;
/// Audit rows of one statement.
const MOST_CALLS: usize = 256;
const GATHER_CALLS: Duration = Duration::from_millis(200);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A client that reports each call to `calls`.
pub(crate) fn client(
    settings: &GitLabSettings,
    calls: Option<(mpsc::Sender<ApiCall>, u32)>,
) -> Result<GitLab> {
    let mut builder = GitLab::builder(settings.url.clone())
        .token(settings.token.clone())
        .ca_file(settings.ca_file.clone())
        .verify_tls(settings.verify_tls)
        .requests_per_minute(settings.budget);
    if let Some((calls, instance)) = calls {
        builder = builder.observer(Arc::new(move |record: &CallRecord| {
            // A full queue loses audit rows, not work.
            let _ = calls.try_send(row(record, instance));
        }));
    }
    builder.build().context("the GitLab client cannot be made")
}

pub(crate) fn call_queue() -> (mpsc::Sender<ApiCall>, mpsc::Receiver<ApiCall>) {
    mpsc::channel(WAITING_CALLS)
}

fn row(record: &CallRecord, instance: u32) -> ApiCall {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    ApiCall {
        at: i64::try_from(at.as_micros()).unwrap_or(i64::MAX),
        instance,
        method: record.method.to_owned(),
        path: record.path.to_owned(),
        status: record.status,
        took: record.duration,
        request_id: record.request_id.clone(),
        ..ApiCall::default()
    }
}

/// Writes audit rows in batches until every client is gone. Nobody waits for them, so they gather for
/// a moment: a plan makes a dozen calls, and every statement takes the database's time from it.
pub(crate) async fn keep_calls(store: Store, mut calls: mpsc::Receiver<ApiCall>) {
    while let Some(first) = calls.recv().await {
        let mut batch = vec![first];
        let gathering = async {
            while batch.len() < MOST_CALLS
                && let Some(call) = calls.recv().await
            {
                batch.push(call);
            }
        };
        // Either is fine: enough, or long enough.
        let _ = tokio::time::timeout(GATHER_CALLS, gathering).await;
        if let Err(error) = store.add_calls(batch).await {
            tracing::warn!(%error, "audit rows of API calls are lost");
        }
    }
}

/// The bot's own user id, asked for until GitLab answers.
pub(crate) async fn own_user(gitlab: &GitLab) -> u64 {
    let mut pause = FIRST_PAUSE;
    loop {
        match gitlab.user().await {
            Ok(user) => return user.id,
            Err(error) => {
                let seconds = pause.as_secs_f32();
                tracing::error!(%error, seconds, "GitLab does not say who we are; deliveries are kept meanwhile");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
