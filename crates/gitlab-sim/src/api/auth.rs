//! Tokens, scopes and the two rate limits.

use jiff::Timestamp;
use serde_json::json;

use super::incoming::Incoming;
use super::routes::Need;
use crate::answer::Answer;
use crate::faults::LIMITED;
use crate::ids::UserId;
use crate::state::{Scope, State};

/// Seconds of a rate limit's window.
const WINDOW: i64 = 60;

/// The token's user, or 401 or 403 as `lib/api/api_guard.rb` answers them.
pub(super) fn check(state: &State, incoming: &Incoming, need: Need) -> Result<UserId, Answer> {
    let value = incoming.token().ok_or_else(|| Answer::message(401, "401 Unauthorized"))?;
    let token = state.authenticate(value)?;
    let enough: &[Scope] = match need {
        Need::Token => return Ok(token.user),
        Need::Rotate => &[Scope::Api, Scope::SelfRotate],
        Need::User => &[Scope::Api, Scope::ReadApi, Scope::ReadUser],
        Need::Read => &[Scope::Api, Scope::ReadApi],
        Need::Files => &[Scope::Api, Scope::ReadApi, Scope::ReadRepository],
        Need::Write => &[Scope::Api],
    };
    if enough.iter().any(|scope| token.scopes.contains(scope)) {
        return Ok(token.user);
    }
    let names: Vec<&str> = enough.iter().map(|scope| scope.as_str()).collect();
    Err(Answer::json(
        403,
        &json!({
            "error": "insufficient_scope",
            "error_description":
                "The request requires higher privileges than provided by the access token.",
            "scope": names.join(" "),
        }),
    ))
}

/// Counts the request against the HTTP limit and gives its headers, or answers 429.
pub(super) fn rate_limit(
    state: &mut State,
    user: UserId,
    now: Timestamp,
) -> Result<Vec<(&'static str, String)>, Answer> {
    let Some(limit) = state.options.requests_per_minute else { return Ok(Vec::new()) };
    let (observed, reset) = count(state, user, "requests", now);
    let headers = vec![
        ("RateLimit-Limit", limit.to_string()),
        ("RateLimit-Name", "throttle_authenticated_api".to_owned()),
        ("RateLimit-Observed", observed.to_string()),
        ("RateLimit-Remaining", limit.saturating_sub(observed).to_string()),
        ("RateLimit-Reset", reset.as_second().to_string()),
    ];
    if observed <= limit {
        return Ok(headers);
    }
    let mut refusal = Answer::text(429, "text/plain", "Retry later\n");
    refusal.headers = headers;
    let date = reset.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let wait = (reset.as_second() - now.as_second()).max(1);
    Err(refusal.header("RateLimit-ResetTime", date).header("Retry-After", wait.to_string()))
}

/// The limit on new comments, which says nothing about how long to wait.
pub(super) fn note_limit(state: &mut State, user: UserId) -> Result<(), Answer> {
    let Some(limit) = state.options.notes_per_minute else { return Ok(()) };
    if count(state, user, "notes_create", Timestamp::now()).0 <= limit {
        return Ok(());
    }
    Err(Answer::json(429, &json!({ "message": { "error": LIMITED } })))
}

/// Requests in the present window, this one included, and when the window ends.
fn count(state: &mut State, user: UserId, what: &'static str, now: Timestamp) -> (u32, Timestamp) {
    let window = state.windows.entry((user, what)).or_insert((now, 0));
    if now.as_second() - window.0.as_second() >= WINDOW {
        *window = (now, 0);
    }
    window.1 += 1;
    (window.1, window.0 + std::time::Duration::from_secs(WINDOW.unsigned_abs()))
}
