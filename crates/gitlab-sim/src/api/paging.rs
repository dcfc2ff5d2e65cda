//! Offset pagination with its headers.

use serde_json::Value;

use super::Request;
use crate::answer::Answer;
use crate::state::State;

/// Above this many rows GitLab does not count them.
const MOST_COUNTED: usize = 10_000;

/// One page of `rows`; only the rows on it are rendered.
pub(super) fn page<T>(
    state: &State,
    request: &Request<'_>,
    rows: &[T],
    render: impl Fn(&T) -> Value,
) -> Result<Answer, Answer> {
    let number: usize = request.number("page")?.unwrap_or(1).max(1);
    let size: usize = request.number("per_page")?.unwrap_or(20).clamp(1, 100);
    let start = (number - 1).saturating_mul(size).min(rows.len());
    let end = start.saturating_add(size).min(rows.len());
    let body: Value = rows[start..end].iter().map(render).collect();
    let last = rows.len().div_ceil(size).max(1);
    let next = (end < rows.len()).then_some(number + 1);
    let previous = (number > 1).then(|| number - 1);
    let show = |number: Option<usize>| number.map(|n| n.to_string()).unwrap_or_default();
    let counted = rows.len() <= MOST_COUNTED;
    let mut answer = Answer::json(200, &body)
        .header("x-page", number.to_string())
        .header("x-per-page", size.to_string())
        .header("x-next-page", show(next))
        .header("x-prev-page", show(previous));
    let mut links = Vec::new();
    for (number, rel) in
        [(previous, "prev"), (next, "next"), (Some(1), "first"), (counted.then_some(last), "last")]
    {
        if let Some(number) = number {
            links.push(format!("<{}>; rel=\"{rel}\"", address(state, request, number, size)));
        }
    }
    if counted {
        answer = answer
            .header("x-total", rows.len().to_string())
            .header("x-total-pages", last.to_string());
    }
    Ok(answer.header("Link", links.join(", ")))
}

fn address(state: &State, request: &Request<'_>, number: usize, size: usize) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in request.query() {
        if name != "page" && name != "per_page" && name != "private_token" {
            query.append_pair(name, value);
        }
    }
    query.append_pair("page", &number.to_string()).append_pair("per_page", &size.to_string());
    format!("{}/api/v4/{}?{}", state.url, request.path(), query.finish())
}

/// Whether the request asks for ascending order; `default` if it does not say.
pub(super) fn ascending(request: &Request<'_>, default: bool) -> Result<bool, Answer> {
    match request.text("sort").as_deref() {
        None => Ok(default),
        Some("asc") => Ok(true),
        Some("desc") => Ok(false),
        Some(_) => Err(Answer::bad_params("sort does not have a valid value")),
    }
}
