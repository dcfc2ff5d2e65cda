//! The floor's HTTP side: one worker, no routing, no verification, no parsing.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Result;

use super::back::{self, BROKER};
use super::lane::{Lanes, Source};
use super::messages::Publisher;
use super::rows::Rows;

/// Variable with the URL of a Postgres database; without it, SQLite.
pub(super) const DATABASE: &str = "FLOOR_DATABASE";

#[derive(Clone)]
struct Shared {
    rows: Rows,
    lanes: Option<Arc<Lanes>>,
    /// To the process that has the lanes.
    publisher: Option<Publisher>,
}

/// The floor's process: says its address and serves until it is killed.
pub(crate) fn serve(dir: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(dir))
}

async fn run(dir: &Path) -> Result<()> {
    let rows = Rows::open(dir, std::env::var(DATABASE).ok().as_deref()).await?;
    let publisher = match std::env::var(BROKER).ok() {
        Some(url) => Some(Publisher::open(&url, &back::queue(dir)).await?),
        None => None,
    };
    let lanes = match Source::from_environment().filter(|_| publisher.is_none()) {
        Some(source) => Some(Arc::new(Lanes::open(dir, source).await?)),
        None => None,
    };
    let shared = Shared { rows, lanes, publisher };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let factory = move || {
        App::new()
            .app_data(web::Data::new(shared.clone()))
            .app_data(web::PayloadConfig::new(1 << 20))
            .default_service(web::to(take))
    };
    let server = HttpServer::new(factory)
        .workers(1)
        .tcp_nodelay(true)
        .disable_signals()
        .listen(listener)?
        .run();
    Ok(server.await?)
}

async fn take(request: HttpRequest, body: web::Bytes, shared: web::Data<Shared>) -> HttpResponse {
    if shared.rows.add(lz4_flex::compress_prepend_size(&body)).await.is_err() {
        return HttpResponse::ServiceUnavailable().finish();
    }
    let sha = request.headers().get("X-Sha").and_then(|sha| sha.to_str().ok());
    if let Some(publisher) = &shared.publisher
        && publisher.publish(sha.unwrap_or_default().as_bytes()).await.is_err()
    {
        return HttpResponse::ServiceUnavailable().finish();
    }
    if let (Some(lanes), Some(sha)) = (&shared.lanes, sha) {
        let (lanes, sha) = (Arc::clone(lanes), sha.to_owned());
        tokio::spawn(async move {
            if let Err(error) = lanes.take(&sha).await {
                // The measurement misses this commit's status and says so.
                let _ = writeln!(std::io::stderr(), "bench: the floor's lane failed: {error:#}");
            }
        });
    }
    HttpResponse::Ok().finish()
}
