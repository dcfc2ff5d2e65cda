//! Turns what a page shows into HTML. Every template is named `.html`, so whatever is put in goes
//! through [`escape`]; no template takes text as safe.

use std::io::{self, Write};
use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Serialize;
use tera::{Context, Tera};

use crate::assets;
use crate::pages::change::ChangeView;
use crate::pages::delivery::DeliveryView;
use crate::pages::home::HomeView;
use crate::pages::run::RunView;
use crate::words::shown;

static TEMPLATES: LazyLock<Tera> = LazyLock::new(|| {
    let mut tera = Tera::default();
    tera.set_escape_fn(escape);
    tera.add_raw_templates([
        ("parts.html", include_str!("../templates/parts.html")),
        ("base.html", include_str!("../templates/base.html")),
        ("message.html", include_str!("../templates/message.html")),
        ("sign_in.html", include_str!("../templates/sign_in.html")),
        ("home.html", include_str!("../templates/home.html")),
        ("run.html", include_str!("../templates/run.html")),
        ("log.html", include_str!("../templates/log.html")),
        ("delivery.html", include_str!("../templates/delivery.html")),
        ("change.html", include_str!("../templates/change.html")),
    ])
    .expect("the templates are part of the program");
    tera
});

/// Writes text as HTML, also between quotes. Control characters are left out: a browser has no use
/// for them, and who copies them into a terminal should not be sorry.
fn escape(text: &str, html: &mut dyn Write) -> io::Result<()> {
    let plain: String = text.chars().filter_map(shown).collect();
    tera::escape_html(&plain, html)
}

/// Everything that can be shown.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Page<'a> {
    Message {
        title: &'a str,
        text: &'a str,
    },
    SignIn {
        /// Path to go on to.
        next: &'a str,
        wrong: bool,
    },
    Home(&'a HomeView),
    Run(&'a RunView),
    Delivery(&'a DeliveryView),
    Change(&'a ChangeView),
}

impl Page<'_> {
    fn template(&self) -> &'static str {
        match self {
            Self::Message { .. } => "message.html",
            Self::SignIn { .. } => "sign_in.html",
            Self::Home(_) => "home.html",
            Self::Run(_) => "run.html",
            Self::Delivery(_) => "delivery.html",
            Self::Change(_) => "change.html",
        }
    }
}

/// The page as an answer. It is never kept by caches: it may need the token.
pub(crate) fn respond(status: StatusCode, page: &Page<'_>) -> HttpResponse {
    match render(page) {
        Ok(html) => HttpResponse::build(status)
            .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
            .insert_header((CACHE_CONTROL, "no-store"))
            .body(html),
        Err(error) => {
            tracing::error!(template = page.template(), %error, "page not rendered");
            HttpResponse::InternalServerError().body("This page cannot be shown; the log says why.")
        }
    }
}

fn render(page: &Page<'_>) -> Result<String, tera::Error> {
    let mut context = Context::from_serialize(page)?;
    context.insert("style", assets::style());
    context.insert("script", assets::live());
    TEMPLATES.render(page.template(), &context)
}
