//! Taking deliveries: the webhook endpoint with its spool, and what the probes are told of it.
//!
//! The bot calls this when it starts. Nobody else opens the spool.

use aldis_bus::Stop as Leave;
use aldis_ingress::{Ingress, Level, Spool};
use aldis_store::Store;
use aldis_web::Intake;
use anyhow::Result;
use tokio::task::JoinSet;

use crate::roles::Role;
use crate::settings::Settings;

/// What takes deliveries, if this process does. What is in its spool goes to the store from now on.
pub(crate) fn open(
    store: &Store,
    settings: &Settings,
    instance: u32,
    leave: &Leave,
    tasks: &mut JoinSet<()>,
) -> Result<Option<Ingress>> {
    if !settings.roles.has(Role::Ingress) {
        return Ok(None);
    }
    let spool = Spool::open(settings.data_dir.join("spool"), settings.spool_limit)?;
    let ingress = Ingress::new(store.clone(), spool, settings.hooks.clone(), instance);
    let mut told = leave.clone();
    tasks.spawn(ingress.clone().drain(async move { told.wait().await }));
    Ok(Some(ingress))
}

/// How it stands.
pub(crate) fn look(ingress: &Ingress) -> Intake {
    let Level { holds, is_full } = ingress.spool_level();
    Intake { waits: holds, is_full }
}
