//! `aldis runners`: who may execute runs on other machines.

use std::io::{Write, stdout};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aldis_store::{Runner, Store, StoreError, sha256};
use anyhow::{Context, Result, bail};

use super::place;
use crate::settings::{Settings, environment};

const MOST_NAME: usize = 40;

pub(super) async fn add(name: &str, pools: &[String]) -> Result<u8> {
    for (what, text) in
        std::iter::once(("NAME", name)).chain(pools.iter().map(|pool| ("--pool", pool.as_str())))
    {
        check_name(what, text)?;
    }
    let store = open(&place::local(&environment)?).await?;
    let token = new_token()?;
    let added = store.add_runner(name, &sha256(token.as_bytes()), pools).await;
    store.close().await;
    if !added? {
        bail!("there is a runner `{name}`; `aldis runners rm {name}` takes its token away first");
    }
    let mut out = stdout().lock();
    writeln!(out, "{token}")?;
    let mut aside = std::io::stderr().lock();
    writeln!(
        aside,
        "This is the token of runner {name}. It is shown only now. On the runner's machine:"
    )?;
    writeln!(aside, "  ALDIS_SERVER_URL=… ALDIS_RUNNER_TOKEN=… aldis runner")?;
    Ok(0)
}

pub(super) async fn list(json: bool) -> Result<u8> {
    let store = Store::open_read_only(&place::local(&environment)?.store()).await?;
    let runners = store.runners().await;
    store.close().await;
    let (runners, mut out) = (runners?, stdout().lock());
    if json {
        let rows = runners.iter().map(|runner| {
            serde_json::json!({
                "name": runner.name, "pools": runner.pools,
                "added_at": runner.added_at, "seen_at": runner.seen_at,
            })
        });
        writeln!(out, "{}", serde_json::Value::Array(rows.collect()))?;
        return Ok(0);
    }
    if runners.is_empty() {
        writeln!(out, "no runners; `aldis runners add NAME` makes the token of one")?;
    }
    for Runner { name, pools, seen_at, .. } in runners {
        writeln!(out, "{name:<24} {:<24} {}", pools.join(", "), seen(seen_at))?;
    }
    Ok(0)
}

pub(super) async fn remove(name: &str) -> Result<u8> {
    let store = open(&place::local(&environment)?).await?;
    let removed = store.remove_runner(name).await;
    store.close().await;
    if !removed? {
        bail!("there is no runner `{name}`; `aldis runners list` shows all");
    }
    Ok(0)
}

async fn open(settings: &Settings) -> Result<Store> {
    match Store::open(&settings.store()).await {
        Err(StoreError::InUse(dir)) => bail!(
            "`aldis serve` uses {}; stop it first: on SQLite nobody else can write",
            dir.display()
        ),
        opened => opened.context("the database cannot be opened"),
    }
}

/// A name stands before a slash on run pages and in the log.
fn check_name(what: &str, text: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.len() > MOST_NAME || !text.chars().all(plain) {
        bail!("{what}: `{text}` should be 1 to {MOST_NAME} letters, digits and signs of `-_.`");
    }
    Ok(())
}

fn new_token() -> Result<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    Ok(format!("aldis-runner-{}", bytes.iter().map(|b| format!("{b:02x}")).collect::<String>()))
}

fn seen(at: Option<i64>) -> String {
    let Some(at) = at.and_then(|at| u64::try_from(at).ok()) else { return "never seen".to_owned() };
    let ago = SystemTime::now().duration_since(UNIX_EPOCH + Duration::from_micros(at));
    match ago.unwrap_or_default().as_secs() {
        0..120 => "seen just now".to_owned(),
        seconds @ 120..7200 => format!("seen {} minutes ago", seconds / 60),
        seconds @ 7200..172_800 => format!("seen {} hours ago", seconds / 3600),
        seconds => format!("seen {} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain() {
        for good in ["north", "north-2.dc_1"] {
            assert!(check_name("NAME", good).is_ok());
        }
        for wrong in ["", "a/b", "ä", "a b", &"x".repeat(41)] {
            let said = check_name("NAME", wrong).unwrap_err().to_string();
            assert!(said.starts_with("NAME: `"), "{said}");
        }
    }

    #[test]
    fn no_two_tokens_are_alike() {
        let (one, other) = (new_token().unwrap(), new_token().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), "aldis-runner-".len() + 64);
    }
}
