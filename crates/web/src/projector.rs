//! Folds the log into the documents that pages read. The binary calls [`Projector::run_once`] in a
//! loop, `aldis projections rebuild` calls [`rebuild`].
//!
//! Several processes may do so at once: the checkpoint is compared and set, so each event is taken
//! in once. Documents depend on the log alone: never here a clock, a random number or GitLab.

pub(crate) mod changes;
pub(crate) mod deliveries;
mod fold;
mod look;
pub(crate) mod projects;
pub(crate) mod runs;

use aldis_store::{Checkpoint, Position, Store, StoreError};

use changes::Changes;
use deliveries::Deliveries;
pub(crate) use fold::Projection;
use fold::{Batch, concerns};
pub(crate) use look::{document, of_event, of_stream};
use projects::Projects;
use runs::Runs;

/// Names of all projections.
pub const PROJECTIONS: [&str; 4] = [Projects::NAME, Deliveries::NAME, Runs::NAME, Changes::NAME];

/// Events that one live step takes in: few, as deliveries wait for the store while it is written.
const STEP: usize = 250;
/// Events that one step of a rebuild takes in: fewer commits, more of it in memory.
const STRIDE: usize = 5_000;

/// Why a projection did not move on.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// No fold has this name.
    #[error("there is no projection `{0}`: use projects, deliveries, runs or changes")]
    Unknown(String),
    /// A document is not what this Aldis wrote. [`rebuild`] makes it anew.
    #[error(
        "document `{key}` of projection `{projection}` cannot be read, run `aldis projections rebuild`: {source}"
    )]
    Document { projection: &'static str, key: String, source: serde_json::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Events up to this position are folded in.
    Moved(Position),
    /// Nothing was folded, but there is more to do: the projection was dropped because its code or
    /// the log is another one, or somebody else was faster.
    Again,
    /// The projection is at the end of the log, or belongs to a newer Aldis.
    Idle,
}

/// Keeps all documents up to date.
#[derive(Debug, Clone)]
pub struct Projector {
    store: Store,
}

impl Projector {
    /// A projector on `store`.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// One step of every projection. True: something was done, so call again at once. False: wait
    /// for [`Store::subscribe`] or a timer.
    ///
    /// An error of one projection does not keep the others from their step; the first is returned.
    pub async fn run_once(&self) -> Result<bool, ProjectionError> {
        let mut moved = false;
        let mut failed = None;
        for name in PROJECTIONS {
            match step(&self.store, name).await {
                Ok(step) => moved |= step != Step::Idle,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(moved), Err)
    }
}

/// Folds the next events, at most 250, into the documents of `projection`.
pub async fn step(store: &Store, projection: &str) -> Result<Step, ProjectionError> {
    match projection {
        Projects::NAME => advance(store, &mut Batch::<Projects>::default(), STEP).await,
        Deliveries::NAME => advance(store, &mut Batch::<Deliveries>::default(), STEP).await,
        Runs::NAME => advance(store, &mut Batch::<Runs>::default(), STEP).await,
        Changes::NAME => advance(store, &mut Batch::<Changes>::default(), STEP).await,
        other => Err(ProjectionError::Unknown(other.to_owned())),
    }
}

/// Drops the documents of `projection` and folds the whole log anew. `progress` is told each
/// position that is reached; the last one is returned. Pages show what is there meanwhile.
pub async fn rebuild(
    store: &Store,
    projection: &str,
    progress: impl FnMut(Position),
) -> Result<Position, ProjectionError> {
    match projection {
        Projects::NAME => refold::<Projects>(store, progress).await,
        Deliveries::NAME => refold::<Deliveries>(store, progress).await,
        Runs::NAME => refold::<Runs>(store, progress).await,
        Changes::NAME => refold::<Changes>(store, progress).await,
        other => Err(ProjectionError::Unknown(other.to_owned())),
    }
}

async fn refold<P: Projection>(
    store: &Store,
    mut progress: impl FnMut(Position),
) -> Result<Position, ProjectionError> {
    store.drop_projection(P::NAME).await?;
    let mut batch = Batch::<P>::default();
    let mut reached = 0;
    loop {
        match advance(store, &mut batch, STRIDE).await? {
            Step::Moved(position) => {
                reached = position;
                progress(position);
            }
            // Somebody else folds too: what is remembered of the documents may be old.
            Step::Again => batch = Batch::default(),
            Step::Idle => return Ok(reached),
        }
    }
}

async fn advance<P: Projection>(
    store: &Store,
    batch: &mut Batch<P>,
    limit: usize,
) -> Result<Step, ProjectionError> {
    let checkpoint = store.checkpoint(P::NAME).await?;
    let events = match checkpoint {
        None => store.read(0, limit).await?,
        // A newer Aldis beside this one keeps these documents; dropping them would go on for ever.
        Some(at) if at.version > P::VERSION => return Ok(Step::Idle),
        Some(at) if at.version < P::VERSION => return restart::<P>(store, "its code").await,
        Some(at) => {
            // The event at the checkpoint comes along to show that this is still the same log.
            let mut events = store.read(at.position - 1, limit + 1).await?;
            if !events.first().is_some_and(|e| e.position == at.position && e.hash == at.hash) {
                return restart::<P>(store, "the log").await;
            }
            events.remove(0);
            events
        }
    };
    let Some(last) = events.last() else { return Ok(Step::Idle) };
    let next = Checkpoint { version: P::VERSION, position: last.position, hash: last.hash };
    let concerns = concerns::<P>(events);
    batch.resume(checkpoint);
    batch.gather(store, &concerns, checkpoint.map_or(0, |at| at.position)).await?;
    for concern in &concerns {
        batch.fold(concern);
    }
    if !store.step(P::NAME, checkpoint, next, batch.writes()).await? {
        return Ok(Step::Again);
    }
    batch.reach(next);
    Ok(Step::Moved(next.position))
}

async fn restart<P: Projection>(store: &Store, what: &str) -> Result<Step, ProjectionError> {
    tracing::info!(projection = P::NAME, "{what} is another one, folding from the beginning");
    store.drop_projection(P::NAME).await?;
    Ok(Step::Again)
}
