//! The middleware around every page, and the sign-in form.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    self, AUTHORIZATION, CONTENT_SECURITY_POLICY, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::uri::Authority;
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::{Access, Asked, COOKIE, Decision, decide};
use crate::state::State;
use crate::view::{self, Page};

/// No script or style but our own files, no frame around us, nothing from elsewhere.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'; object-src 'none'";
/// How long a session lasts.
const SESSION_DAYS: i64 = 30;

/// Middleware for everything that needs the bootstrap token: lets the request through, or answers
/// it with the sign-in page (401) or the reason (403, 421). Needs [`State`] as app data.
///
/// All answers get the headers that keep foreign scripts, frames and sniffing away.
pub async fn guard<B: MessageBody + 'static>(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let decision = judge(&state.access, request.request());
    let mut response = match decision {
        Decision::Allow => next.call(request).await?.map_into_left_body(),
        refused => {
            let answer = refuse(request.request(), refused);
            request.into_response(answer).map_into_right_body()
        }
    };
    protect(response.headers_mut());
    Ok(response)
}

fn judge(access: &Access, request: &HttpRequest) -> Decision {
    let text = |name| request.headers().get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let bearer = text(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let cookie = request.cookie(COOKIE);
    // With HTTP/2 the name stands in the request's target.
    let host = text(HOST).or_else(|| request.uri().authority().map(Authority::as_str));
    decide(
        &access.rules,
        &Asked {
            path: request.path(),
            reads: matches!(*request.method(), Method::GET | Method::HEAD),
            host,
            forwarded: request.headers().keys().any(is_proxys),
            origin: text(ORIGIN),
            fetch_site: text(HeaderName::from_static("sec-fetch-site")),
            bearer: bearer.is_some_and(|token| access.key.is_token(token.trim())),
            session: cookie.is_some_and(|c| access.key.is_session(c.value())),
        },
    )
}

fn is_proxys(name: &HeaderName) -> bool {
    let name = name.as_str();
    name == "forwarded" || name == "x-real-ip" || name.starts_with("x-forwarded-")
}

fn protect(headers: &mut HeaderMap) {
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(REFERRER_POLICY) {
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
}

fn refuse(request: &HttpRequest, decision: Decision) -> HttpResponse {
    match decision {
        Decision::WrongHost => message(
            StatusCode::MISDIRECTED_REQUEST,
            "This server goes by another name",
            "The name in the address is neither this machine's nor that of ALDIS_BASE_URL. \
             Set ALDIS_BASE_URL to the address that people use, then restart Aldis.",
        ),
        Decision::CrossSite => message(
            StatusCode::FORBIDDEN,
            "Refused",
            "This request was sent by another site. Open this server's own pages and try again.",
        ),
        Decision::Allow | Decision::SignIn => {
            let path = request.uri().path_and_query().map_or("/", |target| target.as_str());
            sign_in(if request.method() == Method::GET { path } else { "/" }, false)
        }
    }
}

/// A page with a title and one paragraph.
fn message(status: StatusCode, title: &str, text: &str) -> HttpResponse {
    view::respond(status, &Page::Message { title, text })
}

/// Answers that there is no such thing.
pub(crate) fn not_found(text: &str) -> HttpResponse {
    message(StatusCode::NOT_FOUND, "Not found", text)
}

fn sign_in(next: &str, wrong: bool) -> HttpResponse {
    let mut response =
        view::respond(StatusCode::UNAUTHORIZED, &Page::SignIn { next: local(next), wrong });
    // Without a referrer browsers send `Origin: null` with the form, and over plain HTTP there is
    // no other sign that the form is ours.
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// What the form sends.
#[derive(Deserialize)]
pub(crate) struct SignIn {
    token: String,
    #[serde(default)]
    next: String,
}

/// `POST /session`: trades the token for a cookie and goes on to the page that was asked for.
pub(crate) async fn open_session(state: web::Data<State>, form: web::Form<SignIn>) -> HttpResponse {
    if !state.access.key.is_token(form.token.trim()) {
        tracing::warn!("sign-in refused: another token");
        return sign_in(&form.next, true);
    }
    let cookie = Cookie::build(COOKIE, state.access.key.session())
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(state.access.secure_cookie())
        .max_age(Duration::days(SESSION_DAYS))
        .finish();
    HttpResponse::SeeOther()
        .cookie(cookie)
        .insert_header((header::LOCATION, local(&form.next)))
        .finish()
}

/// The path if it is one of this server, else the first page.
fn local(next: &str) -> &str {
    let own = next.starts_with('/') && !next[1..].starts_with(['/', '\\']);
    if own && next.bytes().all(|b| b.is_ascii_graphic()) { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_to_own_pages_only() {
        for (given, goes_to) in [
            ("/runs/a?attempt=1", "/runs/a?attempt=1"),
            ("", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("/a\r\nSet-Cookie: b", "/"),
        ] {
            assert_eq!(local(given), goes_to, "{given:?}");
        }
    }
}
