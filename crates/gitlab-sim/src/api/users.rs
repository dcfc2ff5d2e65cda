//! The instance, the token and its user.

use serde_json::{Value, json};

use super::{Request, entities};
use crate::answer::{Answer, Reply};
use crate::state::State;

#[expect(clippy::unnecessary_wraps, reason = "the table of endpoints has one shape")]
pub(super) fn version(state: &mut State, _: &Request<'_>) -> Reply {
    let body = json!({
        "version": crate::VERSION,
        "revision": "simulated",
        "kas": { "enabled": false, "externalUrl": null, "version": null },
        "enterprise": true,
        "instance": state.url,
    });
    Ok(Answer::json(200, &body))
}

#[expect(clippy::unnecessary_wraps, reason = "the table of endpoints has one shape")]
pub(super) fn user(state: &mut State, request: &Request<'_>) -> Reply {
    let mut body = entities::user(state, request.user);
    let bot = state.users.get(&request.user).is_some_and(|user| user.bot);
    body["bot"] = json!(bot);
    body["is_admin"] = json!(false);
    Ok(Answer::json(200, &body))
}

pub(super) fn token(state: &mut State, request: &Request<'_>) -> Reply {
    let token = state.authenticate(request.token().unwrap_or_default())?;
    Ok(Answer::json(200, &entities::token(token)))
}

/// A new value for the same user and scopes; the old one is revoked at once.
pub(super) fn rotate(state: &mut State, request: &Request<'_>) -> Reply {
    let old = state.authenticate(request.token().unwrap_or_default())?.clone();
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let expires = match request.text("expires_at") {
        Some(text) => {
            let date = text.parse().map_err(|_| Answer::bad_params("expires_at is invalid"))?;
            Some(date)
        }
        None => today.checked_add(jiff::Span::new().days(7)).ok(),
    };
    if let Some(row) = state.tokens.iter_mut().find(|row| row.id == old.id) {
        row.revoked = true;
    }
    let value = state.create_token(old.user, &old.scopes, expires)?;
    let mut body = entities::token(state.authenticate(&value)?);
    body["token"] = Value::String(value);
    Ok(Answer::json(200, &body))
}
