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

use std::collections::HashMap;
use std::sync::Arc;

use aldis_store::{Checkpoint, Envelope, Position, Store, StoreError};

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

    /// One step of every projection. True: there is more to do, so call again at once. False: all that was
    /// in the log is folded, so wait for [`Store::subscribe`] or a timer.
    ///
    /// An error of one projection does not keep the others from their step; the first is returned.
    pub async fn run_once(&self) -> Result<bool, ProjectionError> {
        let mut again = false;
        let mut failed = None;
        let mut sight = Sight::of(&self.store).await?;
        for name in PROJECTIONS {
            match step_by(&self.store, name, &mut sight).await {
                Ok(step) => again |= step == Step::Again,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(again || sight.is_full), Err)
    }
}

/// What projections look at: how far they have come, and what comes next. Most are at the same place
/// and can share it.
struct Sight {
    checkpoints: HashMap<String, Checkpoint>,
    /// What comes after a position, at most so much of it.
    events: Option<(Position, usize, Arc<[Envelope]>)>,
    /// There may be more of it.
    is_full: bool,
}

impl Sight {
    async fn of(store: &Store) -> Result<Self, StoreError> {
        Ok(Self { checkpoints: store.checkpoints().await?, events: None, is_full: false })
    }

    async fn read(
        &mut self,
        store: &Store,
        after: Position,
        limit: usize,
    ) -> Result<Arc<[Envelope]>, StoreError> {
        match &self.events {
            Some((from, most, events)) if (*from, *most) == (after, limit) => {
                Ok(Arc::clone(events))
            }
            _ => {
                let events: Arc<[Envelope]> = store.read(after, limit).await?.into();
                self.is_full |= events.len() == limit;
                self.events = Some((after, limit, Arc::clone(&events)));
                Ok(events)
            }
        }
    }
}

/// Folds the next events, at most 250, into the documents of `projection`.
pub async fn step(store: &Store, projection: &str) -> Result<Step, ProjectionError> {
    step_by(store, projection, &mut Sight::of(store).await?).await
}

async fn step_by(
    store: &Store,
    projection: &str,
    sight: &mut Sight,
) -> Result<Step, ProjectionError> {
    match projection {
        Projects::NAME => advance(store, &mut Batch::<Projects>::default(), STEP, sight).await,
        Deliveries::NAME => advance(store, &mut Batch::<Deliveries>::default(), STEP, sight).await,
        Runs::NAME => advance(store, &mut Batch::<Runs>::default(), STEP, sight).await,
        Changes::NAME => advance(store, &mut Batch::<Changes>::default(), STEP, sight).await,
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
        match advance(store, &mut batch, STRIDE, &mut Sight::of(store).await?).await? {
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
    sight: &mut Sight,
) -> Result<Step, ProjectionError> {
    let checkpoint = sight.checkpoints.get(P::NAME).copied();
    let (events, known) = match checkpoint {
        None => (sight.read(store, 0, limit).await?, 0),
        // A newer Aldis beside this one keeps these documents; dropping them would go on for ever.
        Some(at) if at.version > P::VERSION => return Ok(Step::Idle),
        Some(at) if at.version < P::VERSION => return restart::<P>(store, "its code").await,
        Some(at) => {
            // The event at the checkpoint comes along to show that this is still the same log.
            let events = sight.read(store, at.position - 1, limit + 1).await?;
            if !events.first().is_some_and(|e| e.position == at.position && e.hash == at.hash) {
                return restart::<P>(store, "the log").await;
            }
            (events, 1)
        }
    };
    let events = &events[known..];
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
