//! Runners on other machines: all they have is a URL and a token.

use std::sync::Arc;
use std::time::Duration;

use aldis_domain::event::Event;
use aldis_domain::report::{Outcome, Report};
use aldis_protocol::{
    Assignment, ClaimRequest, Directive, DispatchError, Dispatcher, Finish, LogChunk,
};
use aldis_runner::{Remote, RemoteError};
use aldis_tests::{Setup, Story};
use secrecy::ExposeSecret;
use tokio::sync::Notify;

/// Less than a hint stream is silent for, the only other reason to look.
const SOON: Duration = Duration::from_secs(8);
/// Nobody sends heartbeats while the story waits for something else.
const KEPT: Duration = Duration::from_mins(10);

async fn ask(remote: &Remote, id: &str, again: bool) -> Option<Assignment> {
    let request = ClaimRequest { runner: "what it likes/0".to_owned(), id: id.to_owned(), again };
    remote.claim(request).await.expect("the server answers")
}

async fn in_the_log(story: &Story, is_it: fn(&Event) -> bool) {
    let there = async || story.log().await.iter().any(|(_, event)| is_it(event));
    story.until("it is in the log", there).await;
}

/// A story without a runner of the bot's own, and a run that waits.
async fn one_run() -> Story {
    let story = Story::start().await;
    story.own_runner_stops().await;
    story.propose_commit("A", &[("code", "1")]);
    story.until_seen("the run waits", |s| s.shows("A", "aldis/ci", "pending")).await;
    story
}

#[tokio::test]
async fn a_runner_elsewhere_is_handed_a_run_and_tells_how_it_went() {
    let story = one_run().await;
    let north = story.runner_elsewhere("north", &["default"]).await;
    let welcome = north.hello().await.unwrap();
    assert_eq!((welcome.name.as_str(), welcome.pools), ("north", vec!["default".to_owned()]));
    let assignment = ask(&north, "1", false).await.unwrap();
    assert_ne!(assignment.source.token.expose_secret(), story.api_token);
    let again = ask(&north, "1", true).await.unwrap();
    assert_eq!(again.ticket, assignment.ticket, "the answer may get lost");
    assert!(ask(&north, "2", false).await.is_none());
    let ticket = assignment.ticket;
    assert_eq!(north.heartbeat(&ticket).await, Ok(Directive::Go));
    let bytes = b"all is well\n".to_vec();
    let chunk = LogChunk { ticket: ticket.clone(), step: 0, seq: 0, bytes };
    for _ in 0..2 {
        north.log(chunk.clone()).await.unwrap();
    }
    story.until_seen("the run is on", |s| s.shows("A", "aldis/ci", "running")).await;
    let finish = Finish { ticket, outcome: Outcome::Passed, report: Report::default() };
    for _ in 0..2 {
        north.finish(finish.clone()).await.unwrap();
    }
    story.settle().await;
    assert_eq!(story.states("A", "aldis/ci"), ["pending", "running", "success"]);
    let run = chunk.ticket.run.as_str();
    let kept = story.bot.store.log_after(run, chunk.ticket.epoch, None, 9).await.unwrap();
    assert_eq!(kept.iter().map(|kept| &kept.bytes).collect::<Vec<_>>(), [&chunk.bytes]);
    let runners = story.log().await.into_iter().filter_map(|(_, event)| match event {
        Event::AttemptStarted(started) => Some(started.runner),
        _ => None,
    });
    assert_eq!(runners.collect::<Vec<_>>(), ["north/0"], "its own name for itself does not count");
    story.finish().await;
}

#[tokio::test]
async fn nobody_speaks_for_another_runner_or_without_a_token() {
    let story = one_run().await;
    let north = story.runner_elsewhere("north", &["default"]).await;
    let east = story.runner_elsewhere("east", &["default"]).await;
    let ticket = ask(&north, "1", false).await.unwrap().ticket;
    let finish =
        Finish { ticket: ticket.clone(), outcome: Outcome::Failed, report: Report::default() };
    let chunk = LogChunk { ticket: ticket.clone(), step: 0, seq: 0, bytes: b"no".to_vec() };
    assert_eq!(east.heartbeat(&ticket).await, Err(DispatchError::Stale));
    assert_eq!(east.log(chunk).await, Err(DispatchError::Stale));
    assert_eq!(east.hand_back(&ticket).await, Err(DispatchError::Stale));
    assert_eq!(east.finish(finish.clone()).await, Err(DispatchError::Stale));
    story.bot.store.remove_runner("north").await.unwrap();
    let stranger = north.finish(finish).await.unwrap_err();
    assert!(matches!(&stranger, DispatchError::Unavailable(why) if why.contains("not known")));
    let stranger = north.hello().await.unwrap_err();
    assert!(matches!(stranger, RemoteError::Refused(_)), "{stranger}");
    east.hand_back(&ticket).await.unwrap_err();
    story.runner_vanishes(&ticket).await;
    let taken = ask(&east, "2", false).await.unwrap();
    assert_eq!((taken.ticket.run, taken.attempt), (ticket.run, 2));
}

#[tokio::test]
async fn a_runner_of_other_pools_gets_nothing() {
    let story = one_run().await;
    let south = story.runner_elsewhere("south", &["big"]).await;
    assert!(ask(&south, "1", false).await.is_none());
}

#[tokio::test]
async fn where_the_clone_token_may_write_runners_elsewhere_get_no_runs() {
    let story = Setup { git_token: false, ..Setup::USUAL }.start().await;
    let north = story.runner_elsewhere("north", &["default"]).await;
    let said = north.hello().await.unwrap_err().to_string();
    assert!(said.contains("GIT_AUTH_TOKEN is not set"), "{said}");
    let request = ClaimRequest { runner: String::new(), id: String::new(), again: false };
    let refused = north.claim(request).await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("GIT_AUTH_TOKEN is not set"), "{refused}");
}

#[tokio::test]
async fn it_hears_at_once_of_runs_and_of_cancels() {
    let story = Story::start().await;
    story.own_runner_stops().await;
    let north = story.runner_elsewhere("north", &["default"]).await;
    let wake = Arc::new(Notify::new());
    let (ears, bell) = (north.clone(), Arc::clone(&wake));
    let hearing = tokio::spawn(async move { ears.hear(bell).await });
    // The stream is open.
    wake.notified().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    in_the_log(&story, |event| matches!(event, Event::RunRequested(_))).await;
    let assignment = tokio::time::timeout(SOON, async {
        loop {
            wake.notified().await;
            if let Some(assignment) = ask(&north, "1", false).await {
                return assignment;
            }
        }
    });
    let ticket = assignment.await.expect("a hint").ticket;
    story.lease_lasts(&ticket, KEPT).await;
    let canceled = tokio::spawn({
        let (north, ticket) = (north.clone(), ticket.clone());
        async move { north.canceled(&ticket).await }
    });
    story.settle_but_runs().await;
    story.comment(mr, "/cancel");
    in_the_log(&story, |event| matches!(event, Event::CancelRequested(_))).await;
    tokio::time::timeout(SOON, canceled).await.expect("a hint").unwrap();
    let finish = Finish { ticket, outcome: Outcome::Canceled, report: Report::default() };
    north.finish(finish).await.unwrap();
    hearing.abort();
    story.settle().await;
    // A run that is taken before its pending status is posted begins with the next one.
    let states = story.states("A", "aldis/ci");
    assert!(states.ends_with(&["running".to_owned(), "canceled".to_owned()]), "{states:?}");
    story.finish().await;
}
