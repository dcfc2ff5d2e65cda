//! Starting and stopping: a thread with its own runtime serves HTTP and sends the hooks.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use tokio::sync::oneshot;

use crate::error::SimError;
use crate::hooks::send;
use crate::http;
use crate::state::State;

/// How the instance is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Path under which GitLab lives, such as `/gitlab`; empty for none.
    pub base_path: String,
    /// How long a receiver of hooks may take.
    pub hook_timeout: Duration,
    /// API requests per user and minute; `None` sends no `RateLimit` headers and never limits.
    pub requests_per_minute: Option<u32>,
    /// New comments per user and minute.
    pub notes_per_minute: Option<u32>,
    /// Port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            base_path: String::new(),
            hook_timeout: Duration::from_secs(10),
            requests_per_minute: None,
            notes_per_minute: None,
            port: 0,
        }
    }
}

/// The running server; dropping it stops everything.
#[derive(Debug)]
pub(crate) struct Server {
    handle: ServerHandle,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Holds the repositories; removed on drop.
    _root: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start(options: Options) -> Result<(Self, Arc<Mutex<State>>), SimError> {
        let failed = |error: &dyn std::fmt::Display| SimError::Start(error.to_string());
        let base = options.base_path.trim_end_matches('/').to_owned();
        if !base.is_empty() && !base.starts_with('/') {
            return Err(SimError::Start("the base path must begin with a slash".to_owned()));
        }
        let root = tempfile::Builder::new()
            .prefix("gitlab-sim-")
            .tempdir()
            .map_err(|error| failed(&error))?;
        let address = SocketAddr::from(([127, 0, 0, 1], options.port));
        let listener = TcpListener::bind(address).map_err(|error| failed(&error))?;
        let port = listener.local_addr().map_err(|error| failed(&error))?.port();
        let url = format!("http://127.0.0.1:{port}{base}");
        let client = send::client(options.hook_timeout).map_err(|error| failed(&error))?;
        let state = State::new(url, root.path().to_owned(), options);
        let state = Arc::new(Mutex::new(state));
        let shared = http::Shared { state: Arc::clone(&state), base, root: root.path().to_owned() };
        let (started, ready) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("gitlab-sim".to_owned())
            .spawn(move || {
                let system = actix_web::rt::System::new();
                system.block_on(serve(listener, shared, client, started));
            })
            .map_err(|error| failed(&error))?;
        let handle = ready.await.map_err(|_| failed(&"the server thread ended"))?;
        let handle = handle.map_err(|error| failed(&error))?;
        Ok((Self { handle, thread: Some(thread), _root: root }, state))
    }

    /// Closes the listener and all connections and waits for the thread.
    pub(crate) async fn stop(mut self) {
        self.handle.stop(false).await;
        if let Some(thread) = self.thread.take() {
            // A join error is a panic of the server thread, which has already been printed.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Calling `stop` sends the order; its future only waits for the end.
        drop(self.handle.stop(false));
    }
}

async fn serve(
    listener: TcpListener,
    shared: http::Shared,
    client: reqwest::Client,
    started: oneshot::Sender<std::io::Result<ServerHandle>>,
) {
    let state = Arc::clone(&shared.state);
    let factory = move || {
        App::new().app_data(web::Data::new(shared.clone())).default_service(web::to(http::serve))
    };
    let server = HttpServer::new(factory)
        .workers(2)
        // As long as GitLab's nginx: a client that reuses a connection while it is closed does not
        // know whether its request was heard.
        .keep_alive(Duration::from_secs(65))
        // Git's answers are streamed in small pieces; each would wait for the last one's receipt.
        .tcp_nodelay(true)
        .disable_signals()
        .on_connect(http::remember_connection)
        .listen(listener);
    let server = match server {
        Ok(server) => server.run(),
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let _ = started.send(Ok(server.handle()));
    let sender = actix_web::rt::spawn(send::run(state, client));
    if let Err(error) = server.await {
        tracing::error!(%error, "the GitLab simulator's server failed");
    }
    sender.abort();
}
