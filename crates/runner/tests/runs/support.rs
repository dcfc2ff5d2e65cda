//! A run queue in memory, a git repository, and a runner between them.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aldis_domain::config::{Network, Stack, Step, When};
use aldis_domain::id::{ProjectKey, RunId, Sha};
use aldis_domain::report::{Outcome, Report};
use aldis_protocol::{
    Announced, Assignment, ClaimRequest, Commit, Directive, DispatchError, Dispatcher, Finish,
    LogChunk, Source, Ticket,
};
use aldis_runner::{PreflightError, Runner, Settings, Slot, Stop, Turn, preflight};
use tokio::sync::{Notify, watch};

/// No test waits longer than this for anything.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The queue's side.
#[derive(Clone, Default)]
pub(crate) struct Queue {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    due: Mutex<VecDeque<Assignment>>,
    announced: Mutex<Option<Vec<Commit>>>,
    log: Mutex<Vec<LogChunk>>,
    logged: Notify,
    looks: Mutex<usize>,
    finished: Mutex<Vec<Finish>>,
    handed_back: Mutex<Vec<Ticket>>,
    refusals: Mutex<u32>,
    heartbeat: Mutex<Option<DispatchError>>,
    cancel: Notify,
}

impl Dispatcher for Queue {
    async fn announced(&self, _: Option<i64>) -> Announced {
        let news = self.inner.announced.lock().unwrap().take();
        match news {
            Some(commits) => Announced { upto: 1, commits },
            None => std::future::pending().await,
        }
    }
    async fn claim(&self, _: ClaimRequest) -> Result<Option<Assignment>, DispatchError> {
        *self.inner.looks.lock().unwrap() += 1;
        self.inner.logged.notify_waiters();
        Ok(self.inner.due.lock().unwrap().pop_front())
    }
    async fn heartbeat(&self, _: &Ticket) -> Result<Directive, DispatchError> {
        match self.inner.heartbeat.lock().unwrap().clone() {
            Some(error) => Err(error),
            None => Ok(Directive::Go),
        }
    }
    async fn canceled(&self, _: &Ticket) {
        self.inner.cancel.notified().await;
    }
    async fn log(&self, chunk: LogChunk) -> Result<(), DispatchError> {
        self.inner.log.lock().unwrap().push(chunk);
        self.inner.logged.notify_waiters();
        Ok(())
    }
    async fn hand_back(&self, ticket: &Ticket) -> Result<(), DispatchError> {
        self.inner.handed_back.lock().unwrap().push(ticket.clone());
        Ok(())
    }
    async fn finish(&self, finish: Finish) -> Result<(), DispatchError> {
        let mut refusals = self.inner.refusals.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            return Err(DispatchError::Unavailable("not now".to_owned()));
        }
        self.inner.finished.lock().unwrap().push(finish);
        Ok(())
    }
}

impl Queue {
    pub(crate) fn add(&self, assignment: Assignment) {
        self.inner.due.lock().unwrap().push_back(assignment);
    }

    /// Tells the next runner that starts of the commit of `assignment`.
    pub(crate) fn announce(&self, assignment: &Assignment) {
        let Assignment { project, sha, git_ref, source, .. } = assignment.clone();
        *self.inner.announced.lock().unwrap() =
            Some(vec![Commit { project, sha, git_ref, source }]);
    }

    /// How many runs were handed back.
    pub(crate) fn handed_back(&self) -> usize {
        self.inner.handed_back.lock().unwrap().len()
    }

    pub(crate) fn cancel(&self) {
        self.inner.cancel.notify_one();
    }

    pub(crate) fn refuse_finish(&self, times: u32) {
        *self.inner.refusals.lock().unwrap() = times;
    }

    pub(crate) fn answer_heartbeats(&self, error: DispatchError) {
        *self.inner.heartbeat.lock().unwrap() = Some(error);
    }

    /// All output so far.
    pub(crate) fn output(&self) -> String {
        let log = self.inner.log.lock().unwrap();
        log.iter().map(|c| String::from_utf8_lossy(&c.bytes).into_owned()).collect()
    }

    /// Output of one step.
    pub(crate) fn step_output(&self, step: u32) -> String {
        let log = self.inner.log.lock().unwrap();
        let of_step = log.iter().filter(|c| c.step == step);
        of_step.map(|c| String::from_utf8_lossy(&c.bytes).into_owned()).collect()
    }

    /// Resolves when the output contains a text.
    pub(crate) async fn says(&self, text: &str) {
        self.until(|| self.output().contains(text), text).await;
    }

    /// Resolves when slots have looked for work so many times.
    pub(crate) async fn looked(&self, times: usize) {
        self.until(|| *self.inner.looks.lock().unwrap() >= times, "slots that look").await;
    }

    async fn until(&self, is_so: impl Fn() -> bool, what: &str) {
        let seen = async {
            loop {
                let more = self.inner.logged.notified();
                tokio::pin!(more);
                more.as_mut().enable();
                if is_so() {
                    return;
                }
                more.await;
            }
        };
        let seen = tokio::time::timeout(PATIENCE, seen).await;
        assert!(seen.is_ok(), "waited in vain for {what:?}; the output is {}", self.output());
    }

    pub(crate) fn finished(&self) -> Vec<Finish> {
        self.inner.finished.lock().unwrap().clone()
    }
}

/// A repository with one commit on `main`.
pub(crate) struct Repo {
    pub(crate) dir: tempfile::TempDir,
}

impl Repo {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let repo = Self { dir: tempfile::tempdir().unwrap() };
        repo.git(&["init", "--quiet", "-b", "main"]);
        repo.commit(files);
        repo
    }

    pub(crate) fn commit(&self, files: &[(&str, &str)]) -> Sha {
        for (name, text) in files {
            let path = self.dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", "a change"]);
        self.head()
    }

    pub(crate) fn head(&self) -> Sha {
        self.git(&["rev-parse", "HEAD"]).trim().parse().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.dir.path().display())
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
            .args(arguments)
            .current_dir(self.dir.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .expect("git is needed: apt-get install git");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A step that runs on success.
pub(crate) fn step(name: &str, script: &str) -> Step {
    Step {
        name: name.to_owned(),
        run: vec![script.to_owned()],
        env: [].into(),
        timeout: None,
        allow_failure: false,
        when: When::OnSuccess,
    }
}

pub(crate) fn stack(steps: Vec<Step>) -> Stack {
    let mut stack: Stack = serde_json::from_value(serde_json::json!({
        "dir": ".", "steps": [], "on": {"push": null, "tag": null, "merge_request": null},
        "paths": [], "paths_ignore": [], "env": {}, "timeout": 60, "needs": [],
        "reports": {"junit": [], "terraform_plan": []}, "environment": null,
        "concurrency": {"cancel_superseded": false}, "executor": null, "network": "none",
    }))
    .unwrap();
    stack.steps = steps;
    stack.network = Network::None;
    stack
}

pub(crate) fn assignment(repo: &Repo, stack: Stack) -> Assignment {
    Assignment {
        ticket: Ticket { run: RunId::from_digest(&[7; 32]), epoch: 1 },
        attempt: 1,
        lease: Duration::from_secs(45),
        tracked: false,
        project: ProjectKey::new(1, 42),
        sha: repo.head(),
        git_ref: "refs/heads/main".to_owned(),
        stack_name: "ci".to_owned(),
        stack,
        untrusted: false,
        source: Source {
            url: repo.url(),
            user: "oauth2".to_owned(),
            token: "glpat-0123456789abcdef".to_owned().into(),
            ca_file: None,
            verify_tls: true,
        },
        env: vec![("ALDIS_STACK".to_owned(), "ci".to_owned())],
    }
}

/// A runner with one slot in a directory of its own.
pub(crate) struct Bench {
    pub(crate) queue: Queue,
    pub(crate) slot: Slot<Queue>,
    pub(crate) stop: watch::Sender<Stop>,
    pub(crate) work_dir: PathBuf,
    pub(crate) limits: String,
    _dir: tempfile::TempDir,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Reachable for the slots' users, as an operator's data directory should be.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(dir.path(), open).unwrap();
        let mut settings = Settings::new("bench", dir.path());
        settings.grace = Duration::from_millis(300);
        settings.fetch_pause = Duration::from_millis(1);
        // Tests run side by side: each gets users of its own.
        settings.first_uid = 70_000 + unique();
        change(&mut settings);
        let capabilities = match preflight(&settings).await {
            Ok(capabilities) => capabilities,
            Err(PreflightError::NoBubblewrap) => {
                panic!("this test needs a sandbox: apt-get install bubblewrap slirp4netns")
            }
            Err(error) => panic!("{error}"),
        };
        let (work_dir, limits) = (capabilities.work_dir.clone(), capabilities.limits.clone());
        let queue = Queue::default();
        let number = u16::try_from(unique()).unwrap();
        let runner = Runner::new(queue.clone(), Arc::default(), settings, capabilities).unwrap();
        let slot = runner.slot(number).unwrap();
        let stop = watch::channel(Stop::No).0;
        Self { queue, slot, stop, work_dir, limits, _dir: dir }
    }

    /// Runs one assignment to its end.
    pub(crate) async fn run(&mut self, assignment: Assignment) -> (Outcome, Report) {
        self.queue.add(assignment);
        let before = self.queue.finished().len();
        let stop = self.stop.subscribe();
        let turn = tokio::time::timeout(PATIENCE, self.slot.step(&stop));
        assert_eq!(turn.await.expect("the run ends"), Ok(Turn::Ran));
        let finished = self.queue.finished();
        assert_eq!(finished.len(), before + 1, "exactly one finish");
        let last = finished.last().unwrap().clone();
        (last.outcome, last.report)
    }

    /// Runs one script as the only step.
    pub(crate) async fn script(&mut self, script: &str) -> (Outcome, Report) {
        let repo = Repo::new(&[("README", "hello\n")]);
        self.run(assignment(&repo, stack(vec![step("only", script)]))).await
    }

    pub(crate) fn run_dirs(&self) -> usize {
        std::fs::read_dir(self.work_dir.join("runs")).unwrap().count()
    }
}

fn unique() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Whether a process with this in its command line lives on the machine.
pub(crate) fn is_running(mark: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = std::fs::read(Path::new(&entry.path()).join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(mark)
    })
}
