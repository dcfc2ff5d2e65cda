//! Databases of both engines with one clock and one key, and a bot to fill one with.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use aldis_domain::event::Event;
use aldis_domain::event::change::ProjectObserved;
use aldis_domain::event::run::RunReleased;
use aldis_domain::id::ProjectKey;
use aldis_store::{
    Answer, ApiCall, Append, Clock, Expected, Import, LogChunk, Meta, NewEvent, Outline, Person,
    Record, Release, Settings, Store, StoreError, WorkKey, WorkKind, WorkTouch,
};
use aldis_test_servers::postgres;
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;

pub(super) const LEASE: Duration = Duration::from_secs(45);
const RUN: &str = "9f";
const ODD: &str = "Zoë's \"\u{1f600}\" \u{0} \u{2028}\r\n\\u0041 \u{fffd}";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    Sqlite,
    Postgres,
}

/// A database, empty at first.
pub(super) struct Place {
    pub(super) settings: Settings,
    _dir: TempDir,
}

/// What databases share.
pub(super) struct Bench {
    pub(super) clock: Clock,
    key: PathBuf,
    _dir: TempDir,
}

impl Bench {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = key_file(&dir, 'A');
        Self { clock: Clock::manual(), key, _dir: dir }
    }

    pub(super) fn place(&self, engine: Engine) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let postgres = (engine == Engine::Postgres).then(|| postgres().database().into());
        let (clock, key_file) = (self.clock.clone(), Some(self.key.clone()));
        let own = Settings::in_dir(dir.path().join("data"));
        Place { settings: Settings { postgres, key_file, clock, ..own }, _dir: dir }
    }
}

/// A key of 32 bytes that are nearly all the same.
pub(super) fn key_file(dir: &TempDir, letter: char) -> PathBuf {
    let path = dir.path().join(format!("{letter}.key"));
    let key: String = std::iter::repeat_n(letter, 42).collect();
    std::fs::write(&path, format!("{key}A=\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

impl Place {
    pub(super) async fn open(&self) -> Store {
        Store::open(&self.settings).await.unwrap()
    }

    /// The rows as they stand in a file.
    pub(super) async fn export(&self) -> (Outline, Vec<String>) {
        let store = Store::open_read_only(&self.settings).await.unwrap();
        let exported = lines(&store).await;
        store.close().await;
        exported
    }

    pub(super) async fn import(
        &self,
        outline: &Outline,
        rows: &[String],
    ) -> Result<(), StoreError> {
        let mut import = Import::begin(&self.settings, outline.clone()).await?;
        for rows in rows.chunks(150) {
            let rows = rows.iter().map(|row| serde_json::from_str(row).unwrap());
            import.add(&rows.collect::<Vec<Record>>()).await?;
        }
        import.commit().await
    }
}

pub(super) async fn lines(store: &Store) -> (Outline, Vec<String>) {
    let export = store.export().await.unwrap();
    let (outline, mut rows) = (export.outline().clone(), Vec::new());
    let all = export.rows(|record| {
        rows.push(serde_json::to_string(&record).unwrap());
        Ok::<_, StoreError>(())
    });
    all.await.unwrap();
    (outline, rows)
}

pub(super) fn event(n: u64) -> NewEvent {
    let project = ProjectKey { instance: 1, id: n };
    let path = format!("group/{ODD}-{n}");
    let (default_branch, configured, aggregate) = (None, true, None);
    NewEvent::new(ProjectObserved { project, path, default_branch, configured, aggregate })
}

pub(super) fn append(stream: &str, expected: Expected, events: Vec<NewEvent>) -> Append {
    Append::new(Meta::from_source("test")).write(stream, expected, events)
}

pub(super) async fn appended(store: &Store, append: Append) {
    assert!(matches!(store.append(append).await.unwrap(), Answer::Appended { .. }));
}

fn touch(name: &str, due_in: u64) -> WorkTouch {
    let key = WorkKey::new(WorkKind::Note, name);
    WorkTouch { key, class: 1, due_in: Duration::from_secs(due_in), reset: false }
}

/// More of everything than one statement takes, and some of it odd.
pub(super) async fn fill(store: &Store, clock: &Clock) {
    for n in 0..300 {
        let stream =
            if n % 3 == 0 { "change-ß\u{1f680}".to_owned() } else { format!("project-{n}") };
        let body = vec![u8::try_from(n % 256).unwrap(); usize::try_from(n).unwrap()];
        let (plain, with) = (event(n), event(n).with_payload(body));
        appended(store, append(&stream, Expected::Any, vec![plain, with])).await;
    }
    let released = NewEvent::new(Event::from(RunReleased::default()));
    let mut last = append("change-last", Expected::NoStream, vec![released]);
    last.people = [("Ada", Some("https://gitlab.example/ada.png")), ("Zoë \u{1f600}\n", None)]
        .into_iter()
        .zip(7..)
        .map(|((name, avatar), id)| Person {
            instance: 1,
            id,
            name: name.to_owned(),
            avatar: avatar.map(str::to_owned),
        })
        .collect();
    last.calls = vec![call(1, Some(201)), call(2, None)];
    appended(store, last).await;
    store.add_calls((3..300).map(|n| call(n, Some(200))).collect()).await.unwrap();
    for (run, epoch) in [("b", 1), (RUN, 2), ("a", 1), (RUN, 1)] {
        let chunk = |seq| LogChunk { seq, step: 1, bytes: vec![0, 255, b'\n', b'"'] };
        store.add_log(run, epoch, (0..150).map(chunk).collect()).await.unwrap();
    }
    for base_url in ["https://gitlab.example", "https://other.example"] {
        store.ensure_instance(base_url).await.unwrap();
    }
    for (name, value) in [("bootstrap", "öpen"), ("hook-1", "s3cret")] {
        store.ensure_secret(name, &SecretString::from(value)).await.unwrap();
    }
    let pools = ["default".to_owned(), "größer".to_owned()];
    assert!(store.add_runner("b", &[1; 32], &pools).await.unwrap());
    assert!(store.add_runner("a", &[2; 32], &[]).await.unwrap());
    store.runner_seen("b").await.unwrap();
    fill_work(store, clock).await;
}

/// One that failed, one under a lease, one that is due for a while, one that will be.
async fn fill_work(store: &Store, clock: &Clock) {
    let touches =
        |names: &[(&str, u64)]| names.iter().map(|(name, due)| touch(name, *due)).collect();
    let asked = |touches| Append { touches, ..Append::new(Meta::from_source("test")) };
    appended(store, asked(touches(&[("failed", 0), ("leased", 0)]))).await;
    let failed = WorkKey::new(WorkKind::Note, "failed");
    for wait in [0, 60] {
        let claimed = store.claim_key(&failed, "me", LEASE).await.unwrap().unwrap();
        store.release(&claimed, Release::Failed(Duration::from_secs(wait))).await.unwrap();
    }
    appended(store, asked(touches(&[("waits", 0)]))).await;
    clock.advance(Duration::from_secs(20));
    let leased = WorkKey::new(WorkKind::Note, "leased");
    store.claim_key(&leased, "me", LEASE).await.unwrap().unwrap();
    appended(store, asked(touches(&[("later", 3600)]))).await;
}

fn call(at: i64, status: Option<u16>) -> ApiCall {
    ApiCall {
        at,
        instance: 1,
        token: "f00".to_owned(),
        method: "POST".to_owned(),
        path: "/projects/:id".to_owned(),
        status,
        took: Duration::from_millis(12),
        request_id: status.map(|_| "01H".to_owned()),
        cause: status.is_none().then(uuid::Uuid::now_v7),
    }
}

/// All that can be read but work, one text a piece.
pub(super) async fn seen(store: &Store) -> Vec<String> {
    let log = store.read(0, 10_000).await.unwrap();
    let names: BTreeSet<String> = log.iter().map(|event| event.stream.clone()).collect();
    let names: Vec<String> = names.into_iter().collect();
    let (mut payloads, mut output, mut people, mut secrets) = (vec![], vec![], vec![], vec![]);
    for event in &log {
        payloads.push(store.payload(event.position).await.unwrap());
    }
    for (run, epoch) in [("a", 1), ("b", 1), (RUN, 1), (RUN, 2)] {
        output.push(store.log_after(run, epoch, None, 1000).await.unwrap());
    }
    for id in 7..10 {
        people.push(store.person(1, id).await.unwrap());
    }
    for name in store.secret_names().await.unwrap() {
        let secret = store.secret(&name).await.unwrap().unwrap();
        secrets.push((name, secret.expose_secret().to_owned()));
    }
    let mut seen: Vec<String> = log.iter().map(|event| format!("{event:?}")).collect();
    let streams: BTreeMap<_, _> = store.load_many(&names).await.unwrap().into_iter().collect();
    seen.extend(streams.iter().map(|stream| format!("{stream:?}")));
    seen.extend(payloads.iter().map(|payload| format!("{payload:?}")));
    seen.extend(output.iter().map(|output| format!("{output:?}")));
    let calls = store.calls(i64::MAX, 1000).await.unwrap();
    seen.extend(calls.iter().map(|call| format!("{call:?}")));
    let instances = store.instances().await.unwrap();
    let known = store.runner(&[1; 32]).await.unwrap();
    let runners = store.runners().await.unwrap();
    seen.push(format!("{people:?} {instances:?} {secrets:?} {known:?} {runners:?}"));
    seen
}

/// The first that differs: all of it would be too long to read.
pub(super) fn difference<'a, T: PartialEq>(one: &'a [T], other: &'a [T]) -> Option<(&'a T, &'a T)> {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).find(|(one, other)| one != other)
}
