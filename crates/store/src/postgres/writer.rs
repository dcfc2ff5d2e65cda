//! Appends of this process: one connection, and the task that owns it.
//!
//! The task takes whatever was queued while the last commit ran, and commits it as one group: in one
//! round trip if nobody else has appended, in two if nobody does so at the same time, else under the
//! head's lock. A group that fails is tried once more on a fresh connection if the database was away,
//! else append by append, so that one bad append spoils nobody else's.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, query};
use tokio::sync::{mpsc, oneshot, watch};

use super::guess::{Guess, News};
use super::write::{End, facts, find_repeats, write};
use super::{Result, connect, sql as own, within};
use crate::append::{Answer, Append};
use crate::clock::Clock;
use crate::envelope::{Envelope, Head, Position};
use crate::error::StoreError;
use crate::failpoint::{Failpoint, Moment};
use crate::judge::{Facts, Judgement, Ready};
use crate::work::Bells;

/// Appends in one group. More would only make the first of them wait.
const GROUP: usize = 256;
/// Appends that may wait. Callers beyond that wait before they hand over.
const QUEUE: usize = 4096;

/// Hands appends to the writer task.
#[derive(Debug)]
pub(super) struct Writer {
    commands: mpsc::Sender<Command>,
}

enum Command {
    Append(Box<WaitingAppend>),
    Close(oneshot::Sender<()>),
}

pub(super) struct WaitingAppend {
    pub(super) ready: Ready,
    pub(super) answer: Option<Answer>,
    reply: oneshot::Sender<Result<Answer>>,
}

impl WaitingAppend {
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.answer, Some(Answer::Conflict { .. } | Answer::FencedOff))
    }
}

/// Who is told after a commit.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) positions: watch::Sender<Position>,
    pub(super) bells: watch::Sender<Bells>,
    pub(super) failpoint: Option<Failpoint>,
}

impl Writer {
    pub(super) fn start(options: PgConnectOptions, clock: Clock, told: Told, news: News) -> Self {
        let (commands, queue) = mpsc::channel(QUEUE);
        let guess = Guess::new(news);
        tokio::spawn(Task { db: None, options, clock, told, guess }.work(queue));
        Self { commands }
    }

    pub(super) async fn append(&self, append: Append) -> Result<Answer> {
        let (reply, answer) = oneshot::channel();
        let ready = Ready::from(append);
        let waiting = Box::new(WaitingAppend { ready, answer: None, reply });
        self.hand_over(Command::Append(waiting)).await?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Returns when everything that was handed over before is done.
    pub(super) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.hand_over(Command::Close(reply)).await.is_ok() {
            // An error says that it was closed already.
            let _ = closed.await;
        }
    }

    async fn hand_over(&self, command: Command) -> Result<()> {
        self.commands.send(command).await.map_err(|_| StoreError::Closed)
    }
}

struct Task {
    /// `None` before the first append and after an error: whether a transaction is still open
    /// there, nobody knows.
    db: Option<PgConnection>,
    options: PgConnectOptions,
    clock: Clock,
    told: Told,
    guess: Guess,
}

impl Task {
    async fn work(mut self, mut queue: mpsc::Receiver<Command>) {
        let mut commands = Vec::with_capacity(GROUP);
        let mut closers = Vec::new();
        while closers.is_empty() && queue.recv_many(&mut commands, GROUP).await > 0 {
            let mut group = Vec::with_capacity(commands.len());
            for command in commands.drain(..) {
                match command {
                    // Nobody waits for it any more, and it must not come after what its caller
                    // does instead.
                    Command::Append(append) if append.reply.is_closed() => {}
                    Command::Append(append) => group.push(*append),
                    Command::Close(reply) => closers.push(reply),
                }
            }
            if !group.is_empty() {
                self.commit(group).await;
            }
        }
        queue.close();
        if let Some(db) = self.db.take() {
            // The server notices by itself otherwise.
            let _ = db.close().await;
        }
        for reply in closers {
            // Whoever asked may have gone.
            let _ = reply.send(());
        }
    }

    async fn commit(&mut self, mut group: Vec<WaitingAppend>) {
        let mut tried = self.attempt(&mut group).await;
        if tried.as_ref().is_err_and(StoreError::is_retryable) {
            // The answer to a commit may have been lost: what was written is found by its ids.
            tried = self.attempt(&mut group).await;
        }
        match tried {
            Ok(events) => self.answer(group, &events),
            Err(error) if error.is_retryable() || group.len() == 1 => fail(group, &error),
            Err(error) => {
                tracing::warn!(%error, "a group of appends failed; each is tried alone");
                for single in group {
                    let mut single = vec![single];
                    match self.attempt(&mut single).await {
                        Ok(events) => self.answer(single, &events),
                        Err(error) => fail(single, &error),
                    }
                }
            }
        }
    }

    /// Returns the events that it added to the log.
    async fn attempt(&mut self, group: &mut [WaitingAppend]) -> Result<Vec<Envelope>> {
        let transaction = async {
            let mut db = match self.db.take() {
                Some(db) => db,
                None => connect(&self.options).await?,
            };
            let events = self.transaction(&mut db, group).await?;
            Ok((db, events))
        };
        let (db, events) = within(transaction).await.inspect_err(|_| self.guess.forget())?;
        self.db = Some(db);
        Ok(events)
    }

    /// Returns the events that it added to the log.
    async fn transaction(
        &mut self,
        db: &mut PgConnection,
        group: &mut [WaitingAppend],
    ) -> Result<Vec<Envelope>> {
        if let Some((end, facts)) = self.guess.make(group) {
            let judged_by = end.head;
            let judgement = self.judge(group, end, facts);
            // Somebody who is refused may be so by what another one expected, and wrongly.
            if !group.iter().any(WaitingAppend::is_refused) {
                if let Some(events) = self.put(db, group, judged_by, judgement).await? {
                    return Ok(events);
                }
                self.guess.was_wrong();
            }
        }
        if let Some(events) = self.ask_and_add(db, group, false).await? {
            return Ok(events);
        }
        // Another process was faster.
        sqlx::raw_sql(own::LOCK).execute(&mut *db).await?;
        let added = self.ask_and_add(db, group, true).await?;
        query(own::COMMIT).execute(&mut *db).await?;
        added.ok_or_else(|| {
            StoreError::Unexpected("nothing was written under the lock of the log".to_owned())
        })
    }

    async fn ask_and_add(
        &mut self,
        db: &mut PgConnection,
        group: &mut [WaitingAppend],
        locked: bool,
    ) -> Result<Option<Vec<Envelope>>> {
        let (end, facts) = facts(db, group, locked).await?;
        self.guess.learn_time(end.now);
        let judged_by = end.head;
        let judgement = self.judge(group, end, facts);
        find_repeats(db, group).await?;
        self.put(db, group, judged_by, judgement).await
    }

    fn judge(
        &self,
        group: &mut [WaitingAppend],
        End { head, recorded_at, now }: End,
        facts: Facts,
    ) -> Judgement {
        let now = self.clock.told_micros().unwrap_or(now);
        let mut judgement = Judgement::new(facts, head, now / 1000, now.max(recorded_at));
        for waiting in group.iter_mut() {
            waiting.answer = Some(judgement.judge(&waiting.ready));
        }
        judgement
    }

    /// Writes what was judged. `None`: nothing was written, because somebody else has moved the head
    /// or taken over a lease in between, or has written what nobody had asked for.
    async fn put(
        &mut self,
        db: &mut PgConnection,
        group: &[WaitingAppend],
        judged_by: Head,
        judgement: Judgement,
    ) -> Result<Option<Vec<Envelope>>> {
        let taken: Vec<&Append> = taken(group).collect();
        if taken.is_empty() {
            return Ok(Some(Vec::new()));
        }
        self.strike(Moment::Before, &judgement.events);
        if !write(db, judged_by, &judgement, &taken).await? {
            return Ok(None);
        }
        let Judgement { head, recorded_at, versions, events, .. } = judgement;
        self.guess.learn_end(head, recorded_at, &versions);
        Ok(Some(events))
    }

    /// Who handed something over hears of it before those who do what follows from it: else the
    /// answer to a delivery waits for a processor behind them.
    fn answer(&self, group: Vec<WaitingAppend>, events: &[Envelope]) {
        self.strike(Moment::After, events);
        if let Some(last) = events.last() {
            self.told.positions.send_replace(last.position);
        }
        let mut touched = Vec::new();
        for WaitingAppend { ready, answer, reply } in group {
            if matches!(answer, Some(Answer::Appended { .. })) {
                touched.extend(ready.append.touches);
            }
            // Whoever asked may have gone.
            let _ = reply.send(answer.ok_or(StoreError::Closed));
        }
        if !touched.is_empty() {
            self.told.bells.send_modify(|bells| touched.iter().for_each(|it| bells.ring(it)));
        }
    }

    fn strike(&self, moment: Moment, events: &[Envelope]) {
        if let Some(failpoint) = &self.told.failpoint {
            failpoint.strike(moment, events);
        }
    }
}

fn taken(group: &[WaitingAppend]) -> impl Iterator<Item = &Append> {
    let taken = group.iter().filter(|a| matches!(a.answer, Some(Answer::Appended { .. })));
    taken.map(|waiting| &waiting.ready.append)
}

fn fail(group: Vec<WaitingAppend>, error: &StoreError) {
    for WaitingAppend { reply, .. } in group {
        // Whoever asked may have gone.
        let _ = reply.send(Err(error.again()));
    }
}
