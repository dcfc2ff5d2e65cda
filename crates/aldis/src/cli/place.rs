//! The settings that commands need which look at this machine alone.

use anyhow::Result;

use crate::settings::{Lookup, Settings};

/// All settings but those about GitLab, which get values that are never used: whoever checks a log
/// or a machine need not hold the bot's secrets.
pub(super) fn local(lookup: Lookup<'_>) -> Result<Settings> {
    Settings::read(&|name| match name {
        "GITLAB_URL" => Some("http://gitlab.invalid".to_owned()),
        "GITLAB_TOKEN" | "GITLAB_WEBHOOK_SECRET" => Some("unused".to_owned()),
        _ if name.starts_with("ALDIS_") => lookup(name),
        _ => None,
    })
}
