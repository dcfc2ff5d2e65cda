//! Deliveries that do not prove that they are GitLab's: turned away and told of, until the hook is
//! set right.

use aldis_domain::event::Event;
use aldis_domain::event::delivery::Refusal;
use aldis_gitlab_sim::{Delivery, HookId, Secret};
use aldis_tests::{HOOK_SECRET, Hooks, SIGNING_TOKEN, Setup, Story};

/// A signing token that the bot was not given.
const FOREIGN: &str = "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// A project whose hook is as it should be and has been believed once.
async fn believed(hooks: Hooks) -> (Story, HookId) {
    let story = Setup { hooks, ..Setup::USUAL }.start().await;
    story.push("before", "main", &[("code", "1")]);
    story.settle().await;
    assert_eq!(story.runs().await, "before ci: passed");
    let hook = story.sim.deliveries()[0].hook;
    (story, hook)
}

/// Pushes `A` while the hook is wrong: GitLab sees 401, the bot keeps a record, nothing follows.
async fn push_in_vain(story: &Story, reason: Refusal) -> Vec<Delivery> {
    let sent = story.sim.deliveries().len();
    let before = (story.sim.writes().len(), story.runs().await, story.verdicts().await);
    story.push("A", "main", &[("code", "2")]);
    story.settle().await;
    let refused = story.sim.deliveries().split_off(sent);
    let answers: Vec<_> =
        refused.iter().flat_map(|d| &d.attempts).map(|attempt| attempt.answer.clone()).collect();
    assert_eq!(answers, [Ok(401)], "{reason:?}");
    let log = story.log().await;
    let recorded = log.iter().filter_map(|(_, event)| match event {
        Event::DeliveryRefused(refused) => Some((refused.event.as_str(), refused.reason)),
        _ => None,
    });
    assert_eq!(recorded.collect::<Vec<_>>(), [("Push Hook", reason)]);
    let after = (story.sim.writes().len(), story.runs().await, story.verdicts().await);
    assert_eq!(after, before, "{reason:?}: something followed");
    assert_eq!(story.statuses("A"), "");
    refused
}

/// GitLab sends again what was refused, and all is as if it had been believed at once.
async fn resend(story: Story, refused: Vec<Delivery>) {
    for delivery in refused {
        story.sim.redeliver(delivery.id).unwrap();
    }
    story.settle().await;
    assert_eq!(story.runs().await, "before ci: passed\nA ci: passed");
    assert!(story.shows("A", "aldis", "success"), "{}", story.statuses("A"));
    story.finish().await;
}

/// A hook with a wrong secret, until it gets the right one.
async fn refused_until_right(hooks: Hooks, wrong: Secret, reason: Refusal) {
    let (story, hook) = believed(hooks).await;
    story.sim.set_hook_secret(hook, wrong).unwrap();
    let refused = push_in_vain(&story, reason).await;
    story.sim.set_hook_secret(hook, hooks.secret()).unwrap();
    resend(story, refused).await;
}

#[tokio::test]
async fn a_wrong_signature_is_refused_until_it_is_right() {
    let wrong = Secret::Signing(FOREIGN.to_owned());
    refused_until_right(Hooks::Signing, wrong, Refusal::BadSignature).await;
}

#[tokio::test]
async fn a_wrong_signature_is_refused_beside_the_right_token() {
    let wrong = Secret::Both { token: HOOK_SECRET.to_owned(), signing: FOREIGN.to_owned() };
    refused_until_right(Hooks::Both, wrong, Refusal::BadSignature).await;
}

#[tokio::test]
async fn a_project_that_has_signed_must_go_on_to() {
    let wrong = Secret::Token(HOOK_SECRET.to_owned());
    refused_until_right(Hooks::Both, wrong, Refusal::SignatureRequired).await;
}

#[tokio::test]
async fn no_secret_at_all_is_refused_until_there_is_one() {
    refused_until_right(Hooks::Signing, Secret::None, Refusal::MissingSecret).await;
    refused_until_right(Hooks::Token, Secret::None, Refusal::MissingSecret).await;
}

#[tokio::test]
async fn a_wrong_token_is_refused_until_it_is_right() {
    let wrong = Secret::Token(SIGNING_TOKEN.to_owned());
    refused_until_right(Hooks::Token, wrong, Refusal::WrongSecret).await;
}

#[tokio::test]
async fn a_signature_of_another_time_is_refused_until_the_clocks_agree() {
    for minutes in [-6, 6] {
        let (story, _) = believed(Hooks::Signing).await;
        story.sim.set_clock_ahead(minutes * 60);
        let refused = push_in_vain(&story, Refusal::StaleTimestamp).await;
        story.sim.set_clock_ahead(0);
        resend(story, refused).await;
    }
}
