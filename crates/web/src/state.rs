//! What every page needs: the store, the settings, and what follows from these.

use std::sync::Arc;

use aldis_store::Store;
use secrecy::SecretString;
use url::Url;

use crate::access::{Access, Rules};

/// What the binary tells this crate.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `ALDIS_BASE_URL`: where people and GitLab reach this server.
    pub base_url: Option<Url>,
    /// Whether only this machine can reach the listener.
    pub listen_is_loopback: bool,
    /// Opens every page. An empty one opens none.
    pub bootstrap_token: SecretString,
    /// Settings that weaken security, in words: told on the first page.
    pub warnings: Vec<String>,
}

/// How the process that takes deliveries keeps them while the database is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intake {
    /// Deliveries wait for the database.
    pub waits: bool,
    /// No more can be kept without the database.
    pub is_full: bool,
}

/// Shared by all pages. Cheap to clone.
#[derive(Clone)]
pub struct State {
    pub(crate) store: Store,
    pub(crate) access: Arc<Access>,
    /// No slash at its end; empty if none is set.
    pub(crate) base_url: Arc<str>,
    pub(crate) warnings: Arc<[String]>,
    /// `None`: this process takes no deliveries.
    pub(crate) intake: Option<Arc<dyn Fn() -> Intake + Send + Sync>>,
    /// Whether this process is about to stop.
    pub(crate) leaving: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl State {
    /// The state of pages over `store`.
    pub fn new(store: Store, settings: &Settings) -> Self {
        let base = settings.base_url.as_ref().map_or("", Url::as_str).trim_end_matches('/');
        let rules = Rules {
            base_url: settings.base_url.clone(),
            listen_is_loopback: settings.listen_is_loopback,
        };
        Self {
            store,
            access: Arc::new(Access::new(rules, &settings.bootstrap_token)),
            base_url: base.into(),
            warnings: settings.warnings.clone().into(),
            intake: None,
            leaving: Arc::new(|| false),
        }
    }

    /// The same for a process that takes deliveries; `intake` tells the probes how that stands.
    #[must_use]
    pub fn with_intake(self, intake: impl Fn() -> Intake + Send + Sync + 'static) -> Self {
        Self { intake: Some(Arc::new(intake)), ..self }
    }

    /// The same for a process that says beforehand that it stops.
    #[must_use]
    pub fn with_leaving(self, leaving: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { leaving: Arc::new(leaving), ..self }
    }
}
