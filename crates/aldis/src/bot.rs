//! The bot: the services of this process's roles, wired to one store and one bus.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, HttpServer};
use aldis_bus::{Bus, Step, Stop as Leave, StopHandle, Topic, consume, stop};
use aldis_dispatch::{Api, Dispatch, GitAccess};
use aldis_domain::touch::{URGENT, WorkKind};
use aldis_feedback::Feedback;
use aldis_gitlab::GitLab;
use aldis_ingress::{Crowd, Ingress};
use aldis_planner::{Planner, let_first_statuses_pass};
use aldis_runner::{Capabilities, Runner, Stop as StopRuns};
use aldis_store::{Due, Store};
use aldis_web::{Projector, State};
use anyhow::{Context, Result};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::connect;
use crate::hints;
use crate::intake;
use crate::leaving::{self, Leaving};
use crate::roles::{Role, Roles};
use crate::sandbox;
use crate::settings::Settings;

/// How many deliveries are handled at the same time, and up to which class. Those who only announce
/// do not wait for GitLab, and nobody who does is before them.
const PLANNERS: [(Topic, u8, usize); 2] = [(Topic::Announce, URGENT, 2), (Topic::Plan, u8::MAX, 4)];
/// How many resources are written at the same time, and up to which class.
const WRITERS: [(Topic, WorkKind, u8, usize); 4] = [
    (Topic::UrgentStatuses, WorkKind::Statuses, URGENT, 2),
    (Topic::Statuses, WorkKind::Statuses, u8::MAX, 4),
    (Topic::Notes, WorkKind::Note, u8::MAX, 2),
    (Topic::Deployments, WorkKind::Deployment, u8::MAX, 2),
];
/// HTTP workers; each is one thread.
const HTTP_WORKERS: usize = 2;
/// How long requests may go on after the listener has closed, in seconds.
const LAST_REQUESTS: u64 = 5;

/// A running bot.
pub struct Bot {
    pub store: Store,
    pub roles: Roles,
    /// Where it listens.
    pub address: SocketAddr,
    /// Public URL, no slash at its end.
    pub base_url: String,
    /// Opens the pages, if this process serves them.
    pub bootstrap_token: Option<SecretString>,
    /// Of the runner, if this process is one.
    pub capabilities: Option<Capabilities>,
    http: ServerHandle,
    leaving: Leaving,
    /// Between the word that it leaves and the end of listening.
    stop_delay: Duration,
    /// Ends the streams of hints, for which the server would wait.
    last_hint: StopHandle,
    leave: StopHandle,
    runs: watch::Sender<StopRuns>,
    tasks: JoinSet<()>,
}

impl Bot {
    /// Starts what this process is to be. Returns when it listens; GitLab need not answer yet.
    pub async fn start(settings: Settings) -> Result<Self> {
        let roles = settings.roles.clone();
        roles.check(settings.postgres.is_some())?;
        let Settings { data_dir, executor, slots, .. } = &settings;
        let runner = sandbox::runner("embedded", data_dir, *executor, *slots);
        let capabilities =
            if roles.has(Role::Runner) { Some(sandbox::look(&runner).await?) } else { None };
        let store = open(&settings).await?;
        let instance = store.ensure_instance(&settings.gitlab.url).await?;
        let (listener, base_url) = listen(&settings)?;
        let address = listener.local_addr()?;
        let bus = hints::bus(&settings);
        let (leave, told) = stop();
        let (runs, runs_told) = watch::channel(StopRuns::No);
        let mut tasks = JoinSet::new();
        let mut token = None;
        if roles.has(Role::Web) {
            token = Some(bootstrap_token(&store, &settings).await?);
        }
        let git = git_access(&settings);
        let dispatch = Dispatch::new(store.clone(), bus.clone(), git, base_url.clone());
        let (last_hint, hints_told) = stop();
        let ingress = intake::open(&store, &settings, instance, &told, &mut tasks)?;
        let crowd = ingress.as_ref().map(Ingress::crowd).unwrap_or_default();
        let (leaving, api) = (Leaving::default(), Api::new(dispatch.clone(), hints_told));
        let routes = Routes { ingress, api, roles: roles.clone(), leaving: leaving.clone() };
        let http = serve_http(&store, &settings, token.as_ref(), routes, listener, &mut tasks)?;
        tasks.spawn(hints::tell_of_work(store.clone(), bus.clone(), told.clone()));
        tasks.spawn(hints::tell_of_events(store.clone(), bus.clone(), told.clone()));
        if roles.has(Role::Web) {
            tasks.spawn(crate::keeping::prune(store.clone(), told.clone()));
            spawn_projector(&store, &bus, crowd.clone(), &told, &mut tasks);
        }
        if let Some(capabilities) = &capabilities {
            spawn_runner(dispatch, &bus, runner, capabilities, &told, runs_told, &mut tasks)?;
        }
        if roles.has(Role::Planner) || roles.has(Role::Feedback) {
            let (calls, calls_made) = connect::call_queue();
            let gitlab = connect::client(&settings.gitlab, Some((calls, instance)))?;
            tasks.spawn(connect::keep_calls(store.clone(), calls_made));
            let base_url = base_url.clone();
            let parts = Parts { store: store.clone(), bus, crowd, gitlab, base_url, roles };
            tasks.spawn(parts.speak_with_gitlab(told));
        }
        Ok(Self {
            store,
            roles: settings.roles,
            address,
            base_url,
            bootstrap_token: token,
            capabilities,
            http,
            leaving,
            stop_delay: settings.stop_delay,
            last_hint,
            leave,
            runs,
            tasks,
        })
    }

    /// Ends everything in order: it is said on `/readyz`; no new deliveries, no new claims; what runs
    /// may finish; the store is closed last.
    pub async fn stop(mut self) {
        self.leaving.begin();
        tokio::time::sleep(self.stop_delay).await;
        self.last_hint.stop();
        self.http.stop(true).await;
        self.leave.stop();
        self.runs.send_replace(StopRuns::Drain);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a part of the bot ended badly");
            }
        }
        self.store.close().await;
    }

    /// For ending runs that are under way, also while [`Bot::stop`] waits for them.
    pub fn runs(&self) -> watch::Sender<StopRuns> {
        self.runs.clone()
    }
}

/// Begins to listen; also the public URL, no slash at its end.
fn listen(settings: &Settings) -> Result<(TcpListener, String)> {
    let listener = TcpListener::bind(settings.listen)
        .with_context(|| format!("ALDIS_LISTEN: cannot listen on {}", settings.listen))?;
    let base_url = match &settings.base_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("http://{}", listener.local_addr()?),
    };
    Ok((listener, base_url))
}

/// Whose server does not let Aldis in looks for the setting that names it.
async fn open(settings: &Settings) -> Result<Store> {
    let opened = Store::open(&settings.store()).await;
    match settings.postgres {
        Some(_) => opened.context("ALDIS_DATABASE_URL"),
        None => Ok(opened?),
    }
}

/// Given by the operator, or made once and kept sealed.
async fn bootstrap_token(store: &Store, settings: &Settings) -> Result<SecretString> {
    const NAME: &str = "bootstrap-token";
    if let Some(token) = &settings.bootstrap_token {
        return Ok(token.clone());
    }
    if let Some(token) = store.secret(NAME).await? {
        return Ok(token);
    }
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    let token = SecretString::from(bytes.iter().map(|b| format!("{b:02x}")).collect::<String>());
    // Of processes that start together one makes it.
    Ok(store.ensure_secret(NAME, &token).await?)
}

fn git_access(settings: &Settings) -> GitAccess {
    let gitlab = &settings.gitlab;
    GitAccess {
        gitlab: gitlab.url.clone(),
        user: gitlab.git_user.clone().unwrap_or_else(|| "oauth2".to_owned()),
        token: gitlab.git_token.clone().unwrap_or_else(|| gitlab.token.clone()),
        only_reads: gitlab
            .git_token
            .as_ref()
            .is_some_and(|git| git.expose_secret() != gitlab.token.expose_secret()),
        ca_file: gitlab.ca_file.as_ref().map(|path| path.display().to_string()),
        verify_tls: gitlab.verify_tls,
    }
}

/// What other machines call, besides the pages.
#[derive(Clone)]
struct Routes {
    ingress: Option<Ingress>,
    api: Api,
    roles: Roles,
    leaving: Leaving,
}

impl Routes {
    fn configure(&self, config: &mut ServiceConfig) {
        config.app_data(Data::new(self.leaving.clone()));
        if let Some(ingress) = &self.ingress {
            ingress.configure(config);
        }
        if self.roles.has(Role::Dispatch) {
            self.api.configure(config);
        }
    }
}

fn serve_http(
    store: &Store,
    settings: &Settings,
    token: Option<&SecretString>,
    routes: Routes,
    listener: TcpListener,
    tasks: &mut JoinSet<()>,
) -> Result<ServerHandle> {
    let pages = aldis_web::Settings {
        base_url: settings.base_url.clone(),
        listen_is_loopback: listener.local_addr()?.ip().is_loopback(),
        bootstrap_token: token.map_or("", |token| token.expose_secret()).into(),
        warnings: settings.warnings(),
    };
    let leaving = routes.leaving.clone();
    let state = State::new(store.clone(), &pages).with_leaving(move || leaving.has_begun());
    let state = match routes.ingress.clone() {
        Some(ingress) => state.with_intake(move || intake::look(&ingress)),
        None => state,
    };
    let has_pages = token.is_some();
    let server = HttpServer::new(move || {
        let (routes, state) = (routes.clone(), state.clone());
        let app = App::new().wrap(from_fn(leaving::close_behind));
        app.configure(move |config| routes.configure(config)).configure(move |config| {
            aldis_web::configure_probes(config, state.clone());
            if has_pages {
                aldis_web::configure_pages(config, state);
            }
        })
    })
    .workers(HTTP_WORKERS)
    // Live logs are streamed in small pieces, which should not wait for each other.
    .tcp_nodelay(true)
    .shutdown_timeout(LAST_REQUESTS)
    .disable_signals()
    .listen(listener)?
    .run();
    let handle = server.handle();
    tasks.spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "the HTTP server ended");
        }
    });
    Ok(handle)
}

fn spawn_projector(store: &Store, bus: &Bus, crowd: Crowd, leave: &Leave, tasks: &mut JoinSet<()>) {
    let (store, projector) = (store.clone(), Projector::new(store.clone()));
    let listener = bus.listen(Topic::Log);
    tasks.spawn(consume("projector", listener, leave.clone(), async move |_| {
        crowd.pass().await;
        let begun = Instant::now();
        let is_behind = projector.run_once().await?;
        Ok::<_, aldis_web::ProjectionError>(if is_behind {
            // In a burst pages may be a little late, answers to deliveries and first statuses may
            // not: the writer and the processor are theirs for half of the time.
            tokio::time::sleep(begun.elapsed()).await;
            let_first_statuses_pass(&store).await;
            Step::Worked
        } else {
            Step::Idle { next_due: None }
        })
    }));
}

fn spawn_runner(
    dispatch: Dispatch,
    bus: &Bus,
    settings: aldis_runner::Settings,
    capabilities: &Capabilities,
    leave: &Leave,
    stop_runs: watch::Receiver<StopRuns>,
    tasks: &mut JoinSet<()>,
) -> Result<()> {
    let wake = Arc::new(Notify::new());
    let runner = Runner::new(dispatch, Arc::clone(&wake), settings, capabilities.clone())?;
    let (mut listener, told) = (bus.listen(Topic::Run), leave.clone());
    tasks.spawn(async move {
        while !told.stopped() {
            listener.wait(Duration::from_secs(1)).await;
            wake.notify_one();
        }
    });
    tasks.spawn(async move {
        if let Err(error) = runner.run(stop_runs).await {
            tracing::error!(%error, "the runner ended");
        }
    });
    Ok(())
}

/// What the services that call GitLab share.
struct Parts {
    store: Store,
    bus: Bus,
    crowd: Crowd,
    gitlab: GitLab,
    base_url: String,
    roles: Roles,
}

impl Parts {
    /// Planner and feedback begin when GitLab has told who we are: our own notes are no commands,
    /// and other people's statuses are not ours.
    async fn speak_with_gitlab(self, mut leave: Leave) {
        let own_user = tokio::select! {
            user = connect::own_user(&self.gitlab) => user,
            () = leave.wait() => return,
        };
        let Self { store, bus, crowd, gitlab, base_url, roles } = self;
        let mut loops = JoinSet::new();
        let planner = Planner::new(
            store.clone(),
            bus.clone(),
            gitlab.clone(),
            own_user,
            "planner".to_owned(),
        );
        for (topic, upto, count) in PLANNERS.into_iter().filter(|_| roles.has(Role::Planner)) {
            for _ in 0..count {
                let (planner, listener) = (planner.clone(), bus.listen(topic));
                let crowd = crowd.clone();
                loops.spawn(consume("planner", listener, leave.clone(), async move |baton| {
                    crowd.pass().await;
                    planner.step(upto, baton).await
                }));
            }
        }
        let feedback = Feedback::new(store, gitlab, base_url, own_user, "feedback".to_owned());
        let writers = WRITERS.into_iter().filter(|_| roles.has(Role::Feedback));
        for (topic, kind, upto, count) in writers {
            let due = Due { kind, upto };
            for _ in 0..count {
                let (feedback, listener) = (feedback.clone(), bus.listen(topic));
                loops.spawn(consume("feedback", listener, leave.clone(), async move |baton| {
                    feedback.step(due, baton).await
                }));
            }
        }
        while loops.join_next().await.is_some() {}
    }
}
