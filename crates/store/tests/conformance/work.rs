//! Work items and leases.

use std::time::Duration;

use aldis_store::{
    Answer, Append, Backlog, Bells, Claimed, Claims, Due, Expected, Fence, Meta, Release, Store,
    WorkKey, WorkKind, WorkTouch,
};

use tokio::sync::watch::Receiver;

use super::bench::{Bench, append, key};

const LEASE: Duration = Duration::from_secs(45);

async fn claim(store: &Store, max: usize) -> Vec<Claimed> {
    store.claim(WorkKind::Statuses, "me", LEASE, max).await.unwrap()
}

async fn only(store: &Store) -> Claimed {
    let mut claimed = claim(store, 10).await;
    assert_eq!(claimed.len(), 1, "{claimed:?}");
    claimed.remove(0)
}

async fn fenced(store: &Store, fence: Fence) -> Answer {
    let asked = append("change-a", Expected::Any, 1);
    store.append(Append { fence: Some(fence), ..asked }).await.unwrap()
}

#[tokio::test]
async fn claims_go_by_class_then_by_due_time() {
    let bench = Bench::new().await;
    for (name, class, due_in) in
        [("late", 1, 9), ("relaxed", 2, 0), ("soon", 1, 5), ("urgent", 0, 9)]
    {
        bench.touch(&key(name), class, due_in).await;
    }
    let other = WorkKey::new(WorkKind::Note, "other kind");
    bench.touch(&other, 0, 0).await;
    let names = |claimed: Vec<Claimed>| claimed.into_iter().map(|c| c.key.key).collect::<Vec<_>>();
    assert_eq!(names(claim(&bench.store, 10).await), ["relaxed"]);
    assert_eq!(
        bench.store.next_due(WorkKind::Statuses).await.unwrap(),
        Some(Duration::from_secs(5))
    );
    bench.clock.advance(Duration::from_secs(10));
    let backlog = bench.store.backlog(WorkKind::Statuses).await.unwrap();
    let oldest = Duration::from_secs(5);
    assert_eq!(backlog, Backlog { due: 3, leased: 1, later: 0, oldest });
    assert_eq!(bench.store.next_due(WorkKind::Statuses).await.unwrap(), Some(Duration::ZERO));
    assert_eq!(names(claim(&bench.store, 2).await), ["urgent", "soon"]);
    assert_eq!(names(claim(&bench.store, 2).await), ["late"]);
    assert!(claim(&bench.store, 2).await.is_empty());
}

#[tokio::test]
async fn who_finds_nothing_hears_when_there_will_be_something() {
    let bench = Bench::new().await;
    let look = async || bench.store.claims(WorkKind::Statuses, "me", LEASE, 1).await.unwrap();
    assert_eq!(look().await, Claims::default());
    let urgent = Due { kind: WorkKind::Statuses, upto: 0 };
    bench.touch(&key("soon"), 1, 5).await;
    let soon = Claims { next_due: Some(Duration::from_secs(5)), ..Claims::default() };
    assert_eq!(look().await, soon);
    let other = bench.store.claims(urgent, "me", LEASE, 1).await.unwrap();
    assert_eq!(other, Claims::default(), "nothing of that class");
    bench.clock.advance(Duration::from_secs(6));
    let found = look().await;
    assert_eq!((found.items.len(), found.next_due), (1, None));
    let leased = Claims { next_due: Some(LEASE), ..Claims::default() };
    assert_eq!(look().await, leased, "it may come back");
    bench.store.release(&found.items[0], Release::Done).await.unwrap();
    assert_eq!(look().await, Claims::default());
}

#[tokio::test]
async fn what_became_due_lately_waits_until_somebody_has_it() {
    const LATELY: Duration = Duration::from_secs(3);
    let bench = Bench::new().await;
    let crowds = async |class, many| {
        bench.store.crowds(WorkKind::Statuses, class, LATELY, many).await.unwrap()
    };
    let waits = async |class| crowds(class, 1).await;
    assert!(!waits(0).await);
    bench.touch(&key("now"), 0, 0).await;
    bench.touch(&key("soon"), 0, 2).await;
    bench.touch(&key("usual"), 1, 0).await;
    bench.touch(&WorkKey::new(WorkKind::Note, "other kind"), 2, 0).await;
    assert!(waits(0).await && waits(1).await && !waits(2).await);
    let held = claim(&bench.store, 1).await;
    assert!(!waits(0).await, "one is leased, the other is not due");
    bench.touch(&held[0].key, 0, 0).await;
    assert!(!waits(0).await, "whoever has it will see to it");
    bench.clock.advance(Duration::from_secs(2));
    assert!(waits(0).await && !crowds(0, 2).await);
    bench.store.release(&held[0], Release::Later(Duration::ZERO)).await.unwrap();
    assert!(crowds(0, 2).await && !crowds(0, 3).await);
    bench.clock.advance(Duration::from_secs(2));
    assert!(waits(0).await && !waits(1).await, "the usual one has been due for too long");
    bench.clock.advance(LATELY);
    assert!(!waits(0).await);
}

#[tokio::test]
async fn what_was_touched_while_it_was_leased_rings_when_the_lease_ends() {
    let bench = Bench::new().await;
    bench.touch(&key("a"), 0, 0).await;
    let first = only(&bench.store).await;
    let mut bells = bench.store.bells();
    let rang = |bells: &mut Receiver<Bells>| bells.has_changed().unwrap();
    let before = *bells.borrow_and_update();
    bench.touch(&key("a"), 1, 0).await;
    let touched: Vec<_> = bells.borrow_and_update().since(before).collect();
    assert_eq!(touched, [(WorkKind::Statuses, false)], "it is not of the most urgent class");
    assert!(claim(&bench.store, 1).await.is_empty(), "whoever heard of it finds it leased");
    bench.store.release(&first, Release::Done).await.unwrap();
    assert!(rang(&mut bells));
    bells.mark_unchanged();
    let later = Duration::from_mins(1);
    for how in [Release::Later(later), Release::Failed(later)] {
        let held = only(&bench.store).await;
        bench.touch(&key("a"), 1, 0).await;
        bells.mark_unchanged();
        bench.store.release(&held, how).await.unwrap();
        assert!(rang(&mut bells), "{how:?}");
        bells.mark_unchanged();
    }
    let last = only(&bench.store).await;
    bench.store.release(&last, Release::Later(Duration::ZERO)).await.unwrap();
    assert!(!rang(&mut bells), "who gives it back knows");
    let last = only(&bench.store).await;
    bench.store.release(&last, Release::Done).await.unwrap();
    assert!(!rang(&mut bells), "nothing is due");
}

#[tokio::test]
async fn who_asks_for_a_class_gets_no_other() {
    let bench = Bench::new().await;
    bench.touch(&key("usual"), 1, 0).await;
    let urgent = Due { kind: WorkKind::Statuses, upto: 0 };
    assert!(bench.store.claim(urgent, "me", LEASE, 9).await.unwrap().is_empty());
    assert_eq!(bench.store.next_due(urgent).await.unwrap(), None);
    bench.touch(&key("one"), 0, 0).await;
    bench.touch(&key("two"), 0, 0).await;
    assert_eq!(bench.store.next_due(urgent).await.unwrap(), Some(Duration::ZERO));
    let mut claimed = bench.store.claim(urgent, "me", LEASE, 1).await.unwrap();
    assert!(claimed[0].more);
    claimed.extend(bench.store.claim(urgent, "me", LEASE, 1).await.unwrap());
    assert!(!claimed[1].more, "the usual one does not count");
    assert_eq!(claimed.iter().map(|c| c.key.key.as_str()).collect::<Vec<_>>(), ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_item_is_claimed_once() {
    let bench = Bench::new().await;
    for n in 0..100 {
        bench.touch(&key(&n.to_string()), 1, 0).await;
    }
    let claimers: Vec<_> = (0..16)
        .map(|_| {
            let store = bench.store.clone();
            tokio::spawn(async move {
                let mut all = Vec::new();
                loop {
                    let some = claim(&store, 3).await;
                    if some.is_empty() {
                        return all;
                    }
                    all.extend(some);
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for claimer in claimers {
        all.extend(claimer.await.unwrap());
    }
    let mut epochs: Vec<_> = all.iter().map(|c| c.epoch).collect();
    all.sort_by(|a, b| a.key.cmp(&b.key));
    all.dedup_by(|a, b| a.key == b.key);
    epochs.sort_unstable();
    epochs.dedup();
    assert_eq!((all.len(), epochs.len()), (100, 100));
}

#[tokio::test]
async fn after_a_takeover_the_old_epoch_is_refused() {
    let bench = Bench::new().await;
    bench.touch(&key("a"), 1, 0).await;
    let old = only(&bench.store).await;
    assert!(matches!(fenced(&bench.store, old.fence()).await, Answer::Appended { .. }));
    bench.clock.advance(LEASE + Duration::from_secs(1));
    // Nobody has taken over: late, but still the last.
    assert!(matches!(fenced(&bench.store, old.fence()).await, Answer::Appended { .. }));
    let new = only(&bench.store).await;
    assert_eq!((new.took_over, new.attempts), (Some(old.epoch), 1));
    assert_eq!(fenced(&bench.store, old.fence()).await, Answer::FencedOff);
    assert!(!bench.store.extend(&old.fence(), LEASE).await.unwrap());
    bench.store.release(&old, Release::Done).await.unwrap();
    assert!(matches!(fenced(&bench.store, new.fence()).await, Answer::Appended { .. }));
}

#[tokio::test]
async fn a_row_that_was_made_anew_does_not_fit_an_old_fence() {
    let bench = Bench::new().await;
    bench.touch(&key("a"), 1, 0).await;
    let old = only(&bench.store).await;
    bench.store.release(&old, Release::Done).await.unwrap();
    assert_eq!(fenced(&bench.store, old.fence()).await, Answer::FencedOff);
    bench.touch(&key("a"), 1, 0).await;
    let new = only(&bench.store).await;
    assert!(new.epoch > old.epoch);
    assert_eq!((new.took_over, new.revision), (None, 1));
    assert_eq!(fenced(&bench.store, old.fence()).await, Answer::FencedOff);
}

#[tokio::test]
async fn finishing_ends_the_lease_also_for_those_behind_in_the_group() {
    let bench = Bench::new().await;
    bench.touch(&key("a"), 1, 0).await;
    let held = only(&bench.store).await;
    let finish = Append {
        fence: Some(held.fence()),
        finished: vec![key("a")],
        ..append("change-a", Expected::Any, 1)
    };
    let (first, second, repeated) = tokio::join!(
        bench.store.append(finish.clone()),
        fenced(&bench.store, held.fence()),
        bench.store.append(finish.clone()),
    );
    assert!(matches!(first.unwrap(), Answer::Appended { .. }));
    assert_eq!((second, repeated.unwrap()), (Answer::FencedOff, Answer::Seen));
    assert_eq!(bench.store.append(finish).await.unwrap(), Answer::Seen);
    assert_eq!(bench.store.next_due(WorkKind::Statuses).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_finished_and_touched_in_one_append_is_a_new_row() {
    let bench = Bench::new().await;
    bench.touch(&key("a"), 0, 0).await;
    let held = only(&bench.store).await;
    bench.store.release(&held, Release::Failed(Duration::ZERO)).await.unwrap();
    let held = only(&bench.store).await;
    assert_eq!(held.attempts, 1);
    let remake = Append {
        fence: Some(held.fence()),
        finished: vec![key("a")],
        touches: vec![WorkTouch::now(key("a"), 1)],
        ..Append::default()
    };
    let first = bench.store.append(remake.clone()).await.unwrap();
    assert!(matches!(first, Answer::Appended { .. }));
    assert_eq!(bench.store.append(remake).await.unwrap(), Answer::FencedOff);
    let new = only(&bench.store).await;
    assert!(new.epoch > held.epoch);
    assert_eq!((new.class, new.attempts, new.revision, new.took_over), (1, 0, 1, None));
}

#[tokio::test]
async fn a_lease_lasts_as_long_as_it_is_extended() {
    let bench = Bench::new().await;
    bench.touch(&key("a"), 1, 0).await;
    let held = only(&bench.store).await;
    for _ in 0..3 {
        bench.clock.advance(LEASE * 9 / 10);
        assert!(bench.store.extend(&held.fence(), LEASE).await.unwrap());
        assert!(claim(&bench.store, 1).await.is_empty());
    }
    assert_eq!(bench.store.next_due(WorkKind::Statuses).await.unwrap(), Some(LEASE));
    bench.clock.advance(LEASE);
    assert_eq!(only(&bench.store).await.took_over, Some(held.epoch));
}

#[tokio::test]
async fn a_touch_during_a_lease_makes_it_due_again() {
    let bench = Bench::new().await;
    bench.touch(&key("a"), 1, 0).await;
    for how in [Release::Done, Release::Later(LEASE), Release::Failed(LEASE)] {
        let held = only(&bench.store).await;
        bench.touch(&key("a"), 1, 2).await;
        bench.store.release(&held, how).await.unwrap();
        assert_eq!(
            bench.store.next_due(WorkKind::Statuses).await.unwrap(),
            Some(Duration::from_secs(2))
        );
        bench.clock.advance(Duration::from_secs(2));
    }
    let held = only(&bench.store).await;
    assert_eq!((held.revision, held.attempts), (4, 1));
    bench.store.release(&held, Release::Done).await.unwrap();
    assert_eq!(bench.store.backlog(WorkKind::Statuses).await.unwrap(), Backlog::default());
}

#[tokio::test]
async fn failures_count_until_a_success_or_a_reset() {
    let bench = Bench::new().await;
    bench.touch(&key("a"), 1, 0).await;
    for attempts in 0..3 {
        let held = only(&bench.store).await;
        assert_eq!(held.attempts, attempts);
        bench.store.release(&held, Release::Failed(LEASE)).await.unwrap();
        assert!(claim(&bench.store, 1).await.is_empty());
        bench.clock.advance(LEASE);
    }
    let touch = WorkTouch { reset: true, ..WorkTouch::now(key("a"), 0) };
    let reset = Append { touches: vec![touch], ..Append::new(Meta::default()) };
    bench.store.append(reset).await.unwrap();
    let held = only(&bench.store).await;
    assert_eq!((held.attempts, held.class), (0, 0));
    let mut held = held;
    for (how, attempts) in [(Release::Failed(LEASE), 1), (Release::Later(LEASE), 0)] {
        bench.store.release(&held, how).await.unwrap();
        bench.clock.advance(LEASE);
        held = only(&bench.store).await;
        assert_eq!(held.attempts, attempts);
    }
}

#[tokio::test]
async fn an_earlier_touch_and_a_more_urgent_class_win() {
    let bench = Bench::new().await;
    bench.touch(&key("a"), 1, 60).await;
    assert_eq!(bench.store.claim_key(&key("a"), "me", LEASE).await.unwrap(), None);
    bench.touch(&key("a"), 0, 90).await;
    bench.touch(&key("a"), 2, 30).await;
    bench.clock.advance(Duration::from_secs(30));
    let held = bench.store.claim_key(&key("a"), "me", LEASE).await.unwrap().unwrap();
    assert_eq!((held.class, held.revision), (0, 3));
}

#[tokio::test]
async fn whoever_got_no_answer_finds_its_lease_again() {
    let bench = Bench::new().await;
    bench.touch(&key("a"), 0, 0).await;
    let held = || bench.store.held(WorkKind::Statuses, "me");
    assert_eq!(held().await.unwrap(), None);
    let claimed = only(&bench.store).await;
    assert_eq!(held().await.unwrap(), Some(claimed.clone()));
    assert_eq!(bench.store.held(WorkKind::Statuses, "you").await.unwrap(), None);
    bench.store.release(&claimed, Release::Done).await.unwrap();
    assert_eq!(held().await.unwrap(), None);
}
