//! Appends of this process: one connection, and the task that owns it.
//!
//! The task takes whatever was queued while the last commit ran, and commits it as one group: in one
//! round trip if nobody else has appended, in two if somebody has, and if others do so all the time under
//! the head's lock. A group that fails is tried once more on a fresh connection if the database was away,
//! else append by append, so that one bad append spoils nobody else's.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, query};
use tokio::sync::{mpsc, oneshot, watch};

use super::guess::{Guess, News};
use super::write::{End, Miss, facts, find_repeats, write};
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

/// The events that were added to the log.
type Added = std::result::Result<Vec<Envelope>, Miss>;

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
        let mut added = self.guess_and_add(db, group).await?;
        if matches!(added, Err(Miss::Refused)) {
            added = self.ask_and_add(db, group, false).await?;
        }
        if let Ok(events) = added {
            return Ok(events);
        }
        // Other processes were faster.
        sqlx::raw_sql(own::LOCK).execute(&mut *db).await?;
        let added = self.ask_and_add(db, group, true).await?;
        query(own::COMMIT).execute(&mut *db).await?;
        added.map_err(|_| {
            StoreError::Unexpected("nothing was written under the lock of the log".to_owned())
        })
    }

    /// Takes what the group expects for true, and the log to end where it was seen last; if that is
    /// not so, where it ended then.
    async fn guess_and_add(
        &mut self,
        db: &mut PgConnection,
        group: &mut [WaitingAppend],
    ) -> Result<Added> {
        let Some((mut end, facts)) = self.guess.make(group) else { return Ok(Err(Miss::Refused)) };
        let mut is_told = false;
        loop {
            let judged_by = end.head;
            let judgement = self.judge(group, end, facts.clone());
            // Somebody who is refused may be so by what another one expected, and wrongly.
            if group.iter().any(WaitingAppend::is_refused) {
                return Ok(Err(Miss::Refused));
            }
            let added = self.put(db, group, judged_by, judgement).await?;
            match added {
                Err(Miss::Behind(there)) if !std::mem::replace(&mut is_told, true) => {
                    self.guess.was_behind(there.now);
                    end = there;
                }
                Err(Miss::Refused) => {
                    self.guess.was_wrong(judged_by);
                    return Ok(added);
                }
                added => return Ok(added),
            }
        }
    }

    async fn ask_and_add(
        &mut self,
        db: &mut PgConnection,
        group: &mut [WaitingAppend],
        locked: bool,
    ) -> Result<Added> {
        let (end, facts) = facts(db, group, locked).await?;
        self.guess.learn_time(end.now);
        self.guess.learn_why(end.head);
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

    /// Writes what was judged.
    async fn put(
        &mut self,
        db: &mut PgConnection,
        group: &[WaitingAppend],
        judged_by: Head,
        judgement: Judgement,
    ) -> Result<Added> {
        let taken: Vec<&Append> = taken(group).collect();
        if taken.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        self.strike(Moment::Before, &judgement.events);
        if let Err(miss) = write(db, judged_by, &judgement, &taken).await? {
            return Ok(Err(miss));
        }
        let Judgement { head, recorded_at, versions, events, .. } = judgement;
        self.guess.learn_end(head, recorded_at, &versions);
        Ok(Ok(events))
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
