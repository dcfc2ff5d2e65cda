//! The task that posts deliveries, one after the other, until the simulator stops.
//! A failed delivery is never sent again by itself: GitLab does not either.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Attempt, Delivery, Hook, decode_key, signature};
use crate::state::State;

/// GitLab keeps this much of an answer.
const KEPT_BODY: usize = 8 * 1024;

/// Sends whatever is queued; ends when the state is gone.
pub(crate) async fn run(state: Arc<Mutex<State>>, client: reqwest::Client) {
    let mut changed = lock(&state).watch();
    loop {
        changed.borrow_and_update();
        let next = lock(&state).next_delivery();
        match next {
            Some((delivery, hook)) => {
                let (instance, ahead) = {
                    let state = lock(&state);
                    (state.url.clone(), state.clock_ahead)
                };
                let now = Timestamp::now().as_second() + ahead;
                let headers = headers(&instance, &delivery, &hook, now);
                let attempt = post(&client, headers, &delivery, &hook).await;
                lock(&state).delivered(delivery.id, attempt);
            }
            None => {
                if changed.changed().await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A panic elsewhere does not make the rows unusable: each is written whole.
pub(crate) fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn post(
    client: &reqwest::Client,
    headers: Vec<(&'static str, String)>,
    delivery: &Delivery,
    hook: &Hook,
) -> Attempt {
    let at = Timestamp::now();
    let began = Instant::now();
    let mut request = client.post(&hook.url).body(delivery.body.clone());
    for (name, value) in &headers {
        request = request.header(*name, value);
    }
    let (answer, answer_body) = match request.send().await {
        Ok(response) => {
            let status = response.status().as_u16();
            let body = response.bytes().await.unwrap_or_default();
            let kept = &body[..body.len().min(KEPT_BODY)];
            (Ok(status), String::from_utf8_lossy(kept).into_owned())
        }
        Err(error) if error.is_timeout() => (Err("timeout".to_owned()), String::new()),
        Err(error) => (Err(error.without_url().to_string()), String::new()),
    };
    let shown = headers.into_iter().map(|(name, value)| {
        let value = if name == "X-Gitlab-Token" { "[hidden]".to_owned() } else { value };
        (name.to_owned(), value)
    });
    Attempt { at, headers: shown.collect(), took: began.elapsed(), answer, answer_body }
}

fn headers(
    instance: &str,
    delivery: &Delivery,
    hook: &Hook,
    now: i64,
) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("Content-Type", "application/json".to_owned()),
        ("User-Agent", format!("GitLab/{}", crate::VERSION)),
        ("X-Gitlab-Event", delivery.trigger.event().to_owned()),
        ("X-Gitlab-Instance", instance.to_owned()),
        ("X-Gitlab-Webhook-UUID", uuid::Uuid::now_v7().to_string()),
        ("X-Gitlab-Event-UUID", uuid::Uuid::now_v7().to_string()),
        ("Idempotency-Key", delivery.key.clone()),
        ("webhook-id", delivery.key.clone()),
        ("webhook-timestamp", now.to_string()),
    ];
    if let Some(token) = hook.secret.token() {
        headers.push(("X-Gitlab-Token", token.replace(['\r', '\n'], "")));
    }
    if let Some(key) = hook.secret.signing().and_then(decode_key) {
        let value = signature(&key, &delivery.key, now, &delivery.body);
        headers.push(("webhook-signature", value));
    }
    headers
}

/// The client that posts deliveries: GitLab's timeout, no redirects, no proxy, and a connection for
/// each, as GitLab makes one; a kept one may be closed by the receiver just when it is used.
pub(crate) fn client(timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .build()
}
