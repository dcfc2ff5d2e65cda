//! The only connection that writes, and the task that owns it.
//!
//! The task takes whatever was queued while the last commit ran, and commits it as one group.
//! There is no timer: a lone command does not wait. A group that fails is done again command by
//! command, so that one bad command spoils nobody else's. A group with facts is answered when it is
//! on the disk, and the next one is written meanwhile.

mod append;
mod checkpoint;
mod disk;
mod session;
#[cfg(test)]
mod tests;

pub(super) use append::insert_calls;
pub(super) use disk::write_ahead_log;
pub(super) use session::{Session, arguments};

use std::fs::File;
use std::pin::Pin;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Row, query};
use tokio::sync::{mpsc, oneshot, watch};

use super::Result;
use super::read;
use crate::append::{Answer, Append};
use crate::clock::Clock;
use crate::envelope::{Envelope, Head, Position};
use crate::error::StoreError;
use crate::failpoint::{Failpoint, Moment};
use crate::judge::Ready;
use crate::sql;
use crate::work::Bells;
use checkpoint::Checkpointer;
use disk::{Committed, Disk, Flush};

/// Commands in one group. More would only make the first of them wait.
const GROUP: usize = 512;
/// Commands that may wait. Callers beyond that wait before they hand over.
const QUEUE: usize = 4096;

/// The moment of a group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// Milliseconds of the lease clock.
    pub(super) lease: i64,
    /// Microseconds since 1970, UTC; never goes back.
    pub(super) wall: i64,
}

/// Something that is written beside the log. It may be run again after a rollback.
pub(super) trait Write: Send + 'static {
    type Out: Send + 'static;
    /// Whether it must be on disk when it is answered.
    const DURABLE: bool;

    fn run(
        &mut self,
        db: &mut Session<'_>,
        now: Now,
    ) -> impl Future<Output = Result<Self::Out>> + Send;
}

/// Hands commands to the writer task.
#[derive(Debug)]
pub(super) struct Writer {
    commands: mpsc::Sender<Command>,
}

enum Command {
    Append(Box<WaitingAppend>),
    Write(Box<dyn Job>),
    Close(oneshot::Sender<()>),
}

struct WaitingAppend {
    ready: Ready,
    answer: Option<Answer>,
    reply: oneshot::Sender<Result<Answer>>,
}

type JobFuture<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// A [`Write`] whose output has no type any more.
trait Job: Send {
    fn durable(&self) -> bool;
    fn run<'a>(&'a mut self, db: &'a mut Session<'_>, now: Now) -> JobFuture<'a>;
    fn answer(self: Box<Self>, result: Result<()>);
}

struct WaitingWrite<W: Write> {
    write: W,
    out: Option<W::Out>,
    reply: oneshot::Sender<Result<W::Out>>,
}

impl<W: Write> Job for WaitingWrite<W> {
    fn durable(&self) -> bool {
        W::DURABLE
    }

    fn run<'a>(&'a mut self, db: &'a mut Session<'_>, now: Now) -> JobFuture<'a> {
        Box::pin(async move {
            self.out = Some(self.write.run(db, now).await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>, result: Result<()>) {
        let Self { out, reply, .. } = *self;
        // Whoever asked may have gone.
        let _ = reply.send(result.and_then(|()| out.ok_or(StoreError::Closed)));
    }
}

impl Writer {
    pub(super) async fn start(
        mut db: SqliteConnection,
        options: SqliteConnectOptions,
        clock: Clock,
        told: Told,
        flush: Flush,
        lock: File,
    ) -> Result<Self> {
        let head = read::head(&mut db).await?;
        let last = query(sql::LAST_TIME).fetch_optional(&mut db).await?;
        let wall = last.map(|row| row.try_get(0)).transpose()?.unwrap_or(0);
        let (commands, queue) = mpsc::channel(QUEUE);
        let checkpointer = Checkpointer::start(options.connect().await?);
        let disk = Disk::start(flush, told.clone());
        let failed = false;
        let task = Task { db, options, clock, told, head, wall, failed, checkpointer, disk };
        tokio::spawn(task.work(queue, lock));
        Ok(Self { commands })
    }

    pub(super) async fn append(&self, append: Append) -> Result<Answer> {
        let (reply, answer) = oneshot::channel();
        let ready = Ready::from(append);
        self.hand_over(Command::Append(Box::new(WaitingAppend { ready, answer: None, reply })))
            .await?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    pub(super) async fn run<W: Write>(&self, write: W) -> Result<W::Out> {
        let (reply, out) = oneshot::channel();
        self.hand_over(Command::Write(Box::new(WaitingWrite { write, out: None, reply }))).await?;
        out.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Returns when everything that was handed over before is done and the file is closed.
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

/// Who is told after a commit.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) positions: watch::Sender<Position>,
    pub(super) bells: watch::Sender<Bells>,
    pub(super) failpoint: Option<Failpoint>,
}

impl Told {
    fn strike(&self, moment: Moment, events: &[Envelope]) {
        if let Some(failpoint) = &self.failpoint {
            failpoint.strike(moment, events);
        }
    }
}

struct Task {
    db: SqliteConnection,
    options: SqliteConnectOptions,
    clock: Clock,
    told: Told,
    head: Head,
    /// The latest moment that was given out.
    wall: i64,
    /// Whether the last transaction failed.
    failed: bool,
    checkpointer: Checkpointer,
    disk: Disk,
}

/// What is committed together.
#[derive(Default)]
struct Group {
    writes: Vec<Box<dyn Job>>,
    appends: Vec<WaitingAppend>,
}

impl Task {
    async fn work(mut self, mut queue: mpsc::Receiver<Command>, lock: File) {
        let mut commands = Vec::with_capacity(GROUP);
        let mut closers = Vec::new();
        while closers.is_empty() && queue.recv_many(&mut commands, GROUP).await > 0 {
            let mut group = Group::default();
            for command in commands.drain(..) {
                match command {
                    // Nobody waits for it any more, and it must not come after what its caller
                    // does instead.
                    Command::Append(append) if append.reply.is_closed() => {}
                    Command::Append(append) => group.appends.push(*append),
                    Command::Write(write) => group.writes.push(write),
                    Command::Close(reply) => closers.push(reply),
                }
            }
            self.commit(group).await;
        }
        queue.close();
        self.disk.end().await;
        self.checkpointer.end().await;
        if let Err(error) = self.db.close().await {
            tracing::warn!(%error, "the database was not closed cleanly");
        }
        drop(lock);
        for reply in closers {
            // Whoever asked may have gone.
            let _ = reply.send(());
        }
    }

    async fn commit(&mut self, mut group: Group) {
        if group.is_empty() {
            return;
        }
        let error = match self.attempt(&mut group).await {
            Ok(events) => return self.settle(group, events),
            Err(error) => error,
        };
        if group.writes.len() + group.appends.len() == 1 {
            return group.fail(error);
        }
        tracing::warn!(%error, "a group of writes failed; each is tried alone");
        for mut single in group.singles() {
            match self.attempt(&mut single).await {
                Ok(events) => self.settle(single, events),
                Err(error) => single.fail(error),
            }
        }
    }

    /// Leases and output may be lost with the power, facts may not: only facts wait for the disk.
    /// See `docs/adr/0001-claims-without-fsync.md`.
    fn settle(&mut self, group: Group, events: Vec<Envelope>) {
        let (facts, rest) = group.divided();
        rest.answer();
        if !facts.is_empty() {
            self.disk.settle(Committed { group: facts, events, head: self.head.position });
        }
    }

    /// After an error SQLite may have rolled back by itself or not, and the driver does not know
    /// which. A fresh connection does.
    async fn attempt(&mut self, group: &mut Group) -> Result<Vec<Envelope>> {
        if self.failed {
            self.db = self.options.connect().await?;
        }
        let result = self.transaction(group).await;
        self.failed = result.is_err();
        if self.failed {
            // SQLite may have done so already, and then says that there is nothing to roll back.
            let _ = query(sql::sqlite::ROLLBACK).execute(&mut self.db).await;
        }
        result
    }

    /// Returns the events that it added to the log.
    async fn transaction(&mut self, group: &mut Group) -> Result<Vec<Envelope>> {
        self.wall = self.wall.max(self.clock.wall_micros());
        let now = Now { lease: self.clock.lease_millis(), wall: self.wall };
        let mut session = Session::new(&mut self.db);
        session.add(sql::sqlite::BEGIN, &[]);
        for write in &mut group.writes {
            write.run(&mut session, now).await?;
        }
        let mut head = self.head;
        let mut events = Vec::new();
        if !group.appends.is_empty() {
            let judgement = append::run(&mut session, &mut group.appends, self.head, now).await?;
            head = judgement.head;
            events = judgement.events;
        }
        self.told.strike(Moment::Before, &events);
        session.run(sql::sqlite::COMMIT, &[]).await?;
        self.checkpointer.written(group.writes.len() + 2 * events.len());
        self.head = head;
        self.ring(group);
        Ok(events)
    }

    fn ring(&self, group: &Group) {
        let taken =
            group.appends.iter().filter(|a| matches!(a.answer, Some(Answer::Appended { .. })));
        let mut touched = taken.flat_map(|a| &a.ready.append.touches).peekable();
        if touched.peek().is_some() {
            self.told.bells.send_modify(|bells| touched.for_each(|touch| bells.ring(touch)));
        }
    }
}

impl Group {
    fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.appends.is_empty()
    }

    /// What must be on disk when it is answered, and what need not.
    fn divided(self) -> (Self, Self) {
        let (durable, rest) = self.writes.into_iter().partition(|write| write.durable());
        (Self { writes: durable, appends: self.appends }, Self { writes: rest, appends: vec![] })
    }

    fn singles(self) -> impl Iterator<Item = Self> {
        let writes = self.writes.into_iter().map(|w| Self { writes: vec![w], appends: vec![] });
        let appends = self.appends.into_iter().map(|a| Self { writes: vec![], appends: vec![a] });
        writes.chain(appends)
    }

    fn answer(self) {
        for write in self.writes {
            write.answer(Ok(()));
        }
        for WaitingAppend { answer, reply, .. } in self.appends {
            // Whoever asked may have gone.
            let _ = reply.send(answer.ok_or(StoreError::Closed));
        }
    }

    /// Answers the only command of the group.
    fn fail(mut self, error: StoreError) {
        if let Some(write) = self.writes.pop() {
            write.answer(Err(error));
        } else if let Some(append) = self.appends.pop() {
            // Whoever asked may have gone.
            let _ = append.reply.send(Err(error));
        }
    }
}
