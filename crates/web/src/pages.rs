//! The routes. Each handler gathers what its page shows, makes the view of it and renders that.

pub(crate) mod change;
pub(crate) mod delivery;
mod download;
mod health;
pub(crate) mod home;
pub(crate) mod run;

use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, web};
use aldis_store::StoreError;
use jiff::Timestamp;

use crate::access::{self, SESSION, guard, not_found};
use crate::state::State;
use crate::view::{self, Page};
use crate::{assets, live};

/// Largest sign-in form, in bytes.
const FORM: usize = 4096;

/// Mounts the probes, which are open to everybody.
pub fn configure_probes(config: &mut web::ServiceConfig, state: State) {
    config.app_data(web::Data::new(state));
    let probe = |path: &str| web::resource(path.to_owned()).wrap(from_fn(guard));
    config
        .service(
            probe("/healthz")
                .route(web::get().to(health::lives))
                .route(web::head().to(health::lives)),
        )
        .service(
            probe("/readyz")
                .route(web::get().to(health::ready))
                .route(web::head().to(health::ready)),
        );
}

/// Mounts all pages and the assets. Everything but the latter asks for the bootstrap token where
/// [`guard`] says so; routes that others mount are not touched.
pub fn configure_pages(config: &mut web::ServiceConfig, state: State) {
    config.app_data(web::Data::new(state));
    let page = |path: &str| web::resource(path.to_owned()).wrap(from_fn(guard));
    config
        .service(page("/").route(web::get().to(home::show)))
        .service(page("/runs/{run}").route(web::get().to(run::show)))
        .service(page("/runs/{run}/log").route(web::get().to(live::events)))
        .service(page("/runs/{run}/log.txt").route(web::get().to(download::text)))
        .service(page("/deliveries/{delivery}").route(web::get().to(delivery::show)))
        .service(page("/changes/{change}").route(web::get().to(change::show)))
        .service(
            page(SESSION)
                .app_data(web::FormConfig::default().limit(FORM))
                .route(web::post().to(access::open_session)),
        )
        .service(page("/assets/{file}").route(web::get().to(assets::serve)));
}

/// Answers that there is no such run.
pub(crate) fn no_run() -> HttpResponse {
    not_found("There is no such run. Check the address, or look for the run on the first page.")
}

/// Answers that the store gave none.
pub(crate) fn no_store(error: &StoreError) -> HttpResponse {
    tracing::error!(%error, "page not shown");
    let text = "The database does not answer. Aldis keeps trying; reload this page in a moment.";
    let title = "Not available now";
    view::respond(StatusCode::SERVICE_UNAVAILABLE, &Page::Message { title, text })
}

/// A gathered view as an answer.
fn answer<V>(
    gathered: Result<Option<V>, StoreError>,
    show: impl FnOnce(&V) -> HttpResponse,
    missing: impl FnOnce() -> HttpResponse,
) -> HttpResponse {
    match gathered {
        Ok(Some(view)) => show(&view),
        Ok(None) => missing(),
        Err(error) => no_store(&error),
    }
}

fn now() -> i64 {
    Timestamp::now().as_microsecond()
}
