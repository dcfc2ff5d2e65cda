//! What a process takes for true without asking, and is wrong about.

use std::time::Duration;

use aldis_domain::touch::WorkKind;
use aldis_store::{Answer, Append, Expected, Store, WorkKey, WorkTouch};
use aldis_test_servers::postgres;
use futures_util::future::join_all;

use crate::{append, settings};

#[tokio::test]
async fn who_takes_the_log_to_end_where_it_left_it_is_corrected() {
    let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
    let one = Store::open(&settings(&dir, &url)).await.unwrap();
    let two = Store::open(&settings(&dir, &url)).await.unwrap();
    // Long enough for either to be sure of itself again and again.
    for turn in 0..60 {
        let store = if turn / 20 % 2 == 0 { &one } else { &two };
        let stream = format!("change-{turn}");
        let asked = append(&stream, Expected::NoStream);
        let answer = store.append(asked.clone()).await.unwrap();
        assert!(matches!(answer, Answer::Appended { last, .. } if last == turn + 1), "{answer:?}");
        assert_eq!(store.append(asked).await.unwrap(), Answer::Seen);
        let other = append(&stream, Expected::NoStream);
        let conflict = Answer::Conflict { stream, actual: Some(1) };
        assert_eq!(store.append(other).await.unwrap(), conflict);
    }
    let new = |n: usize| append(&format!("new-{n}"), Expected::NoStream);
    let both = (0..200).map(|n| [&one, &two][n % 2].append(new(n)));
    for answer in join_all(both).await {
        assert!(matches!(answer.unwrap(), Answer::Appended { .. }));
    }
    assert_eq!(one.verify(|_| ()).await.unwrap().events, 260);
}

#[tokio::test]
async fn whoever_expects_what_is_not_so_is_told() {
    let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
    let one = Store::open(&settings(&dir, &url)).await.unwrap();
    let two = Store::open(&settings(&dir, &url)).await.unwrap();
    let key = WorkKey::new(WorkKind::Note, "1");
    let touches = vec![WorkTouch::now(key, 1)];
    one.append(Append { touches, ..append("begun", Expected::NoStream) }).await.unwrap();
    let lease = Duration::from_mins(1);
    let held = one.claim(WorkKind::Note, "one", lease, 1).await.unwrap().remove(0).fence();
    let mut version = 0;
    let guard = |expected| append("other", Expected::NoStream).write("all", expected, Vec::new());
    let mistakes: [&dyn Fn(u64) -> Append; 5] = [
        &|version| append("all", Expected::Version(version + 1)),
        &|version| append("all", Expected::Version(version - 1)),
        &|_| append("all", Expected::NoStream),
        &|version| guard(Expected::Version(version - 1)),
        &|_| guard(Expected::NoStream),
    ];
    for mistake in mistakes {
        // Long enough to be sure of itself.
        for _ in 0..20 {
            let next = append("all", Expected::Version(version));
            let answer = one.append(Append { fence: Some(held.clone()), ..next }).await.unwrap();
            version += 1;
            assert!(matches!(answer, Answer::Appended { .. }), "{answer:?}");
        }
        let conflict = Answer::Conflict { stream: "all".to_owned(), actual: Some(version) };
        assert_eq!(one.append(mistake(version)).await.unwrap(), conflict);
    }
    for number in 0..20 {
        let sure = append(&format!("sure-{number}"), Expected::NoStream);
        one.append(sure).await.unwrap();
    }
    assert!(one.extend(&held, Duration::ZERO).await.unwrap());
    let taken = two.claim(WorkKind::Note, "two", lease, 1).await.unwrap().remove(0).fence();
    let next = || append("all", Expected::Version(version));
    let late = one.append(Append { fence: Some(held), ..next() }).await.unwrap();
    assert_eq!(late, Answer::FencedOff);
    let answer = one.append(Append { fence: Some(taken), ..next() }).await.unwrap();
    assert!(matches!(answer, Answer::Appended { .. }), "{answer:?}");
    assert_eq!(one.verify(|_| ()).await.unwrap().events, 122);
}

#[tokio::test]
async fn what_one_wrongly_expects_refuses_nobody_else() {
    let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
    let store = Store::open(&settings(&dir, &url)).await.unwrap();
    let key = WorkKey::new(WorkKind::Note, "1");
    let touches = vec![WorkTouch::now(key, 1)];
    store.append(Append { touches, ..append("begun", Expected::NoStream) }).await.unwrap();
    let mut claims = Vec::new();
    for _ in 0..2 {
        let claimed = store.claim(WorkKind::Note, "one", Duration::from_mins(1), 1).await.unwrap();
        claims.push(claimed[0].fence());
        store.extend(&claims[claims.len() - 1], Duration::ZERO).await.unwrap();
    }
    for version in 0..20 {
        for stream in ["a", "b"] {
            store.append(append(stream, Expected::Version(version))).await.unwrap();
        }
    }
    let on = |stream, version| append(stream, Expected::Version(version));
    let under = |n: usize, append| Append { fence: Some(claims[n].clone()), ..append };
    let mut late = on("b", 19);
    late.writes.extend(on("a", 20).writes);
    // One group: handed over before the writer looks.
    let (first, stale, right) = tokio::join!(
        store.append(on("a", 20)),
        store.append(under(0, late)),
        store.append(under(1, on("b", 20))),
    );
    assert!(matches!(first.unwrap(), Answer::Appended { .. }));
    assert_eq!(stale.unwrap(), Answer::FencedOff);
    let right = right.unwrap();
    assert!(matches!(right, Answer::Appended { .. }), "{right:?}");
}

#[tokio::test]
async fn who_is_content_with_any_version_gets_the_next_one() {
    let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
    let one = Store::open(&settings(&dir, &url)).await.unwrap();
    let two = Store::open(&settings(&dir, &url)).await.unwrap();
    let mut last = 0;
    for turn in 0..60 {
        if turn % 3 > 0 {
            let read = one.load("all").await.unwrap();
            assert_eq!(read.last().map_or(0, |event| event.version), last);
        }
        if turn % 5 == 0 {
            two.append(append("all", Expected::Any)).await.unwrap();
            last += 1;
        }
        let asked = append("all", Expected::Any);
        let answer = one.append(asked.clone()).await.unwrap();
        last += 1;
        let versions = [("all".to_owned(), last)].into();
        assert!(
            matches!(&answer, Answer::Appended { versions: v, .. } if *v == versions),
            "{answer:?}"
        );
        assert_eq!(one.append(asked).await.unwrap(), Answer::Seen);
    }
    assert_eq!(one.verify(|_| ()).await.unwrap().events, last);
}
