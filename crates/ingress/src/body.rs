//! Reading a body up to the limit, in one buffer.

use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

/// GitLab sends nothing larger (`REQUEST_BODY_SIZE_LIMIT`, 25 MiB, in
/// `app/services/web_hook_service.rb`).
pub const BODY_LIMIT: usize = 25 * 1024 * 1024;
/// What is set aside before the first byte came, whatever the sender says.
const FIRST_BUFFER: usize = 64 * 1024;

pub(crate) enum Body {
    Whole(Bytes),
    /// Over the limit; the rest was not read.
    TooLarge(u64),
    /// The sender went away.
    Aborted,
}

pub(crate) async fn read(request: &HttpRequest, payload: &mut web::Payload) -> Body {
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    let announced = length.unwrap_or(0);
    if announced > BODY_LIMIT as u64 {
        return Body::TooLarge(announced);
    }
    let Some(first) = payload.next().await else { return Body::Whole(Bytes::new()) };
    let Ok(first) = first else { return Body::Aborted };
    if first.len() as u64 == announced {
        return Body::Whole(first);
    }
    let room = usize::try_from(announced).unwrap_or(FIRST_BUFFER).min(FIRST_BUFFER);
    let mut body = BytesMut::with_capacity(room);
    let mut chunk = first;
    loop {
        if body.len() + chunk.len() > BODY_LIMIT {
            return Body::TooLarge((body.len() + chunk.len()) as u64);
        }
        body.extend_from_slice(&chunk);
        chunk = match payload.next().await {
            Some(Ok(next)) => next,
            Some(Err(_)) => return Body::Aborted,
            None => break,
        };
    }
    Body::Whole(body.freeze())
}
