//! Many kills of one kind: some at a time, all failures told at the end.

use std::sync::LazyLock;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How many worlds live at the same time.
static PLACES: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(3));

/// Runs all trials and fails with the names of those that failed.
pub(crate) async fn all<F>(trials: Vec<(String, F)>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut names = std::collections::HashMap::new();
    let count = trials.len();
    for (name, trial) in trials {
        let task = running.spawn(async move {
            let _place = PLACES.acquire().await.expect("never closed");
            trial.await;
        });
        names.insert(task.id(), name);
    }
    let mut failed = Vec::new();
    while let Some(ended) = running.join_next().await {
        if let Err(error) = ended {
            failed.extend(names.get(&error.id()).cloned());
        }
    }
    failed.sort();
    assert!(failed.is_empty(), "{} of {count} failed:\n  {}", failed.len(), failed.join("\n  "));
}
