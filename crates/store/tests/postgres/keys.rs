//! What is read while the bot works is found by its keys.

use std::time::{Duration, Instant};

use aldis_domain::touch::WorkKind;
use aldis_store::{
    Answer, Append, Claimed, Clock, Expected, Meta, Release, Settings, Store, WorkKey, WorkTouch,
};
use aldis_test_servers::postgres;
use futures_util::future::join_all;
use sqlx::Connection;

use crate::{append, name, settings};

/// Enough for a connection to settle on one plan for a statement.
const UNTIL_SETTLED: usize = 12;
const STREAMS: usize = 3_000;

#[tokio::test]
async fn a_plan_made_for_an_empty_table_reads_no_table_through_when_it_is_full() {
    let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
    let store = Store::open(&settings(&dir, &url)).await.unwrap();
    // The server must not learn how full the tables are: that takes it a minute otherwise.
    postgres().sql(name(&url), "ALTER TABLE events SET (autovacuum_enabled = off)");
    let some: Vec<String> = (0..16).map(|n| format!("change-{n}")).collect();
    let read = async || {
        let (many, one) = (store.load_many(&some).await.unwrap(), store.load(&some[0]).await);
        (many.len(), one.unwrap().len(), store.read(0, 10).await.unwrap().len())
    };
    for _ in 0..UNTIL_SETTLED {
        assert_eq!(read().await, (0, 0, 0));
    }
    let filling =
        (0..STREAMS).map(|n| store.append(append(&format!("change-{n}"), Expected::NoStream)));
    for answer in join_all(filling).await {
        answer.unwrap();
    }
    assert_eq!(read().await, (16, 1, 10));
    store.close().await;
    ended(&url);
    let passed = "SELECT COALESCE(SUM(seq_tup_read), 0) FROM pg_stat_user_tables \
         WHERE relname = 'events'";
    assert_eq!(postgres().sql(name(&url), passed), "0", "rows of `events` that were passed by");
}

/// Each is made in a step of time of its own.
const ITEMS: usize = 4_000;
const AT_ONCE: usize = 8;
/// What a claim may pass by: all that was due in this many milliseconds before.
const PASSED: usize = 50;

#[tokio::test]
async fn a_claim_does_not_pass_by_all_that_was_claimed_before() {
    let bench = Clocked::new().await;
    // Whoever looks at the database as it was keeps what is deleted from being forgotten.
    let mut looking = sqlx::PgConnection::connect(&bench.url).await.unwrap();
    for begin in ["BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM work"] {
        sqlx::query(begin).execute(&mut looking).await.unwrap();
    }
    for item in 0..ITEMS {
        bench.touch(&format!("{item:04}"), 0).await;
        bench.clock.advance(Duration::from_millis(1));
    }
    let mut taken = Vec::new();
    loop {
        let claimed = bench.claim(AT_ONCE).await;
        if claimed.is_empty() {
            break;
        }
        for one in claimed {
            bench.store.release(&one, Release::Done).await.unwrap();
            taken.push(one.key.key);
        }
    }
    assert!(taken.len() == ITEMS && taken.is_sorted());
    bench.store.close().await;
    looking.close().await.unwrap();
    ended(&bench.url);
    let read =
        "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'work_by_urgency'";
    let read: usize = postgres().sql(name(&bench.url), read).parse().unwrap();
    // Whoever finds nothing has looked everywhere, and asked when there will be something.
    let last = 2 * ITEMS;
    let most = ITEMS / AT_ONCE * (PASSED + AT_ONCE) * 2 + last;
    assert!(read < most, "entries that claims read: {read}");
}

/// What is written under a lease that ends with it.
fn last_word(claimed: &Claimed) -> Append {
    Append {
        fence: Some(claimed.fence()),
        finished: vec![claimed.key.clone()],
        ..append(&format!("change-{}", claimed.key.key), Expected::NoStream)
    }
}

#[tokio::test]
async fn a_plan_made_for_little_work_finds_each_item_by_its_key_where_much_waits() {
    let bench = Clocked::new().await;
    postgres().sql(name(&bench.url), "ALTER TABLE work SET (autovacuum_enabled = off)");
    let make = async |items: std::ops::Range<usize>| {
        let keys = items.map(|item| WorkKey::new(WorkKind::Plan, format!("{item:04}")));
        let touches = keys.map(|key| WorkTouch::now(key, 0)).collect();
        let touched = Append { touches, ..Append::new(Meta::from_source("test")) };
        bench.store.append(touched).await.unwrap();
    };
    let take = async || {
        let taken = bench.claim(AT_ONCE).await;
        let appended = taken.iter().map(|claimed| bench.store.append(last_word(claimed)));
        for answer in join_all(appended).await {
            assert!(matches!(answer.unwrap(), Answer::Appended { .. }));
        }
        taken.len()
    };
    let touches = vec![WorkTouch::now(WorkKey::new(WorkKind::Note, "a"), 0)];
    let touched = Append { touches, ..Append::new(Meta::from_source("test")) };
    bench.store.append(touched).await.unwrap();
    for item in 0..UNTIL_SETTLED {
        // The server plans anew, and knows that there is next to nothing.
        postgres().sql(name(&bench.url), "VACUUM ANALYZE work");
        make(item..item + 1).await;
        assert_eq!(take().await, 1);
    }
    make(UNTIL_SETTLED..UNTIL_SETTLED + ITEMS).await;
    let rounds = ITEMS / AT_ONCE / 4;
    for _ in 0..rounds {
        assert_eq!(take().await, AT_ONCE);
    }
    bench.store.close().await;
    ended(&bench.url);
    let read = "SELECT idx_tup_read + seq_tup_read FROM pg_stat_user_indexes \
         JOIN pg_stat_user_tables USING (relid) WHERE indexrelname = 'work_pkey'";
    let read: usize = postgres().sql(name(&bench.url), read).parse().unwrap();
    // One to make it, one to see that its lease is held, one to delete it, and one for each that a claim
    // looks for when the other index does not lead there.
    let most = 4 * (ITEMS + UNTIL_SETTLED);
    assert!(read < most, "entries by key that were read: {read}");
}

struct Clocked {
    url: String,
    clock: Clock,
    store: Store,
    _dir: tempfile::TempDir,
}

impl Clocked {
    async fn new() -> Self {
        Self::on(postgres().database()).await
    }

    async fn on(url: String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual();
        let settings = Settings { clock: clock.clone(), ..settings(&dir, &url) };
        Self { url, clock, store: Store::open(&settings).await.unwrap(), _dir: dir }
    }

    async fn touch(&self, key: &str, class: u8) {
        let touches = vec![WorkTouch::now(WorkKey::new(WorkKind::Plan, key), class)];
        let append = Append { touches, ..Append::new(Meta::from_source("test")) };
        self.store.append(append).await.unwrap();
    }

    async fn claim(&self, most: usize) -> Vec<Claimed> {
        let lease = Duration::from_mins(1);
        self.store.claim(WorkKind::Plan, "me", lease, most).await.unwrap()
    }

    /// Makes this due, claims it, and moves the clock on: nobody looks before that any more.
    async fn move_on(&self, key: &str, class: u8) {
        self.clock.advance(Duration::from_secs(10));
        self.touch(key, class).await;
        assert_eq!(keys(&self.claim(1).await), [key]);
    }

    /// Makes an item that has been due for nine seconds longer than this one.
    fn commit_late(&self, than: &str) {
        let late = format!(
            "INSERT INTO work (kind, key, class, due_at, revision, lease_epoch, attempts) \
             SELECT kind, 'late', class, due_at - 9000, 1, 0, 0 FROM work WHERE key = '{than}'"
        );
        postgres().sql(name(&self.url), &late);
    }
}

fn keys(claimed: &[Claimed]) -> Vec<&str> {
    claimed.iter().map(|claimed| claimed.key.key.as_str()).collect()
}

#[tokio::test]
async fn what_was_committed_late_is_found() {
    let bench = Clocked::new().await;
    bench.move_on("a", 0).await;
    bench.touch("b", 0).await;
    bench.commit_late("b");
    assert_eq!(keys(&bench.claim(9).await), ["b"], "where the last one found something");
    let found = loop {
        // Nothing else is due, and where there was nothing just now nobody looks again at once.
        let found = bench.claim(9).await;
        if !found.is_empty() {
            break found;
        }
    };
    assert_eq!(keys(&found), ["late"]);
}

/// Lists of numbers in statements wait for a lock, so that a claim can be held up behind its beginning.
const HELD_UP: &str = "CREATE FUNCTION public.unnest(bigint[]) RETURNS SETOF bigint LANGUAGE plpgsql AS $$ \
     BEGIN PERFORM pg_advisory_lock_shared(1); PERFORM pg_advisory_unlock_shared(1); \
     RETURN QUERY SELECT pg_catalog.unnest($1); END $$";
/// For so long nobody looks again where there was nothing.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_claim_that_lost_what_it_found_does_not_hide_what_was_committed_late() {
    let url = postgres().database();
    let database = name(&url).to_owned();
    postgres().sql(&database, HELD_UP);
    let ours_first = format!("ALTER DATABASE {database} SET search_path = public, pg_catalog");
    postgres().sql(&database, &ours_first);
    let bench = Clocked::on(url).await;
    bench.move_on("a", 0).await;
    let begun = Instant::now();
    bench.touch("b", 0).await;
    bench.commit_late("b");
    let mut holding = sqlx::PgConnection::connect(&bench.url).await.unwrap();
    sqlx::query("SELECT pg_advisory_lock(1)").execute(&mut holding).await.unwrap();
    let touched = async {
        let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        while begun.elapsed() < LOOK_AGAIN || asked(&mut holding, waiting).await == 0 {}
        let touch = "UPDATE work SET revision = revision + 1 WHERE key = 'b'";
        for statement in [touch, "SELECT pg_advisory_unlock(1)"] {
            sqlx::query(statement).execute(&mut holding).await.unwrap();
        }
    };
    let (lost, ()) = tokio::join!(bench.claim(9), touched);
    assert!(lost.is_empty(), "b was touched between the beginning and the lock: {lost:?}");
    assert_eq!(keys(&bench.claim(9).await), ["b"]);
    assert_eq!(keys(&bench.claim(9).await), ["late"]);
}

async fn asked(connection: &mut sqlx::PgConnection, number: &'static str) -> i64 {
    sqlx::query_scalar(number).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn what_was_touched_while_it_was_leased_is_due_when_it_is_released() {
    let bench = Clocked::new().await;
    let ways = [("b", Release::Done), ("d", Release::Later(Duration::from_mins(1)))];
    for (other, how) in ways {
        bench.touch("a", 0).await;
        let held = bench.claim(1).await.remove(0);
        bench.touch("a", 0).await;
        bench.move_on(other, 0).await;
        bench.store.release(&held, how).await.unwrap();
        bench.touch("c", 0).await;
        let claimed = bench.claim(9).await;
        assert_eq!(keys(&claimed), ["a", "c"], "{how:?}");
        for claimed in claimed {
            bench.store.release(&claimed, Release::Done).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_becomes_more_urgent_is_due_from_then_on() {
    let bench = Clocked::new().await;
    bench.touch("a", 1).await;
    bench.move_on("b", 0).await;
    bench.touch("a", 0).await;
    bench.touch("c", 0).await;
    assert_eq!(keys(&bench.claim(9).await), ["a", "c"]);
}

/// Waits until no connection is left: they hand in what they counted when they end.
fn ended(url: &str) {
    let left = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    while postgres().sql(name(url), left) != "0" {}
}
