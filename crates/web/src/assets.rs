//! The style sheet and the script. Their names hold their digest, so browsers keep them for good.

use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use aws_lc_rs::digest::{SHA256, digest};

use crate::access;

struct Asset {
    /// `/assets/style-0123456789abcdef.css`
    path: String,
    body: &'static str,
    kind: &'static str,
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    asset("style", "css", include_str!("../assets/style.css"), "text/css; charset=utf-8")
});
static LIVE: LazyLock<Asset> = LazyLock::new(|| {
    asset("live", "js", include_str!("../assets/live.js"), "text/javascript; charset=utf-8")
});

fn asset(name: &str, ending: &str, body: &'static str, kind: &'static str) -> Asset {
    let digest = digest(&SHA256, body.as_bytes());
    let short: String = digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    Asset { path: format!("/assets/{name}-{short}.{ending}"), body, kind }
}

/// Address of the style sheet.
pub(crate) fn style() -> &'static str {
    &STYLE.path
}

/// Address of the live log's script.
pub(crate) fn live() -> &'static str {
    &LIVE.path
}

/// `GET /assets/{file}`
pub(crate) async fn serve(file: web::Path<String>) -> HttpResponse {
    let wanted = format!("/assets/{file}");
    let Some(asset) = [&*STYLE, &*LIVE].into_iter().find(|asset| asset.path == wanted) else {
        return access::not_found("There is no such file. Reload the page that asked for it.");
    };
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, asset.kind))
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(asset.body)
}
