//! The port to what stands beside the log: bodies, output, audit, people, runners, secrets.

use std::time::Duration;

use secrecy::SecretString;

use super::{Engine, Result, Store};
use crate::append::{ApiCall, Person};
use crate::envelope::Position;
use crate::postgres;
use crate::run_log::LogChunk;
use crate::runner::Runner;

/// What stands beside the log.
impl Store {
    /// The webhook body of the event at `position`, compressed as it was put.
    pub async fn payload(&self, position: Position) -> Result<Option<Vec<u8>>> {
        ask!(self, e => e.payload(position))
    }

    /// Deletes webhook bodies older than `age`; returns how many.
    pub async fn prune_payloads(&self, age: Duration) -> Result<u64> {
        engine!(self, e => e.prune_payloads(age).await)
    }

    /// Keeps output of a run. A chunk that is already there is left as it is.
    pub async fn add_log(&self, run: &str, epoch: u64, chunks: Vec<LogChunk>) -> Result<()> {
        ask!(self, e => e.add_log(run, epoch, chunks))
    }

    /// At most `limit` chunks of an attempt's output after `after`; `None` for the beginning.
    pub async fn log_after(
        &self,
        run: &str,
        epoch: u64,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<LogChunk>> {
        ask!(self, e => e.log_after(run, epoch, after, limit))
    }

    /// Deletes output older than `age`; returns how many chunks.
    pub async fn prune_logs(&self, age: Duration) -> Result<u64> {
        engine!(self, e => e.prune_logs(age).await)
    }

    /// Keeps audit rows of calls that led to no append.
    pub async fn add_calls(&self, calls: Vec<ApiCall>) -> Result<()> {
        ask!(self, e => e.add_calls(calls))
    }

    /// The `limit` newest calls before the time `before` (microseconds since 1970), newest first.
    pub async fn calls(&self, before: i64, limit: usize) -> Result<Vec<ApiCall>> {
        ask!(self, e => e.calls(before, limit))
    }

    /// Deletes audit rows older than `age`; returns how many.
    pub async fn prune_calls(&self, age: Duration) -> Result<u64> {
        engine!(self, e => e.prune_calls(age).await)
    }

    /// Who this is.
    pub async fn person(&self, instance: u32, id: u64) -> Result<Option<Person>> {
        ask!(self, e => e.person(instance, id))
    }

    /// Forgets a person. Returns whether there was one.
    pub async fn erase_person(&self, instance: u32, id: u64) -> Result<bool> {
        ask!(self, e => e.erase_person(instance, id))
    }

    /// The number of the GitLab instance at `base_url`, which gets one if it is new. The first is 1.
    pub async fn ensure_instance(&self, base_url: &str) -> Result<u32> {
        ask!(self, e => e.ensure_instance(base_url))
    }

    /// All instances: number and base URL.
    pub async fn instances(&self) -> Result<Vec<(u32, String)>> {
        ask!(self, e => e.instances())
    }

    /// Lets a runner in whose token has this SHA-256 digest. False: there is one of this name.
    pub async fn add_runner(
        &self,
        name: &str,
        digest: &[u8; 32],
        pools: &[String],
    ) -> Result<bool> {
        ask!(self, e => e.add_runner(name, digest, pools))
    }

    /// The runner whose token has this digest.
    pub async fn runner(&self, digest: &[u8; 32]) -> Result<Option<Runner>> {
        ask!(self, e => e.runner(digest))
    }

    /// Notes that the runner is alive, once a minute.
    pub async fn runner_seen(&self, name: &str) -> Result<()> {
        ask!(self, e => e.runner_seen(name))
    }

    /// All runners on other machines, by name.
    pub async fn runners(&self) -> Result<Vec<Runner>> {
        ask!(self, e => e.runners())
    }

    /// Lets a runner in no more. Returns whether there was one.
    pub async fn remove_runner(&self, name: &str) -> Result<bool> {
        ask!(self, e => e.remove_runner(name))
    }

    /// Seals `value` and keeps it under `name`, unless there is a secret of this name; the one that
    /// is there now.
    pub async fn ensure_secret(&self, name: &str, value: &SecretString) -> Result<SecretString> {
        ask!(self, e => e.ensure_secret(name, value))
    }

    /// Opens the secret `name`.
    pub async fn secret(&self, name: &str) -> Result<Option<SecretString>> {
        ask!(self, e => e.secret(name))
    }

    /// Deletes the secret `name`. Returns whether there was one.
    pub async fn delete_secret(&self, name: &str) -> Result<bool> {
        ask!(self, e => e.delete_secret(name))
    }

    /// Names of all secrets, sorted.
    pub async fn secret_names(&self) -> Result<Vec<String>> {
        ask!(self, e => e.secret_names())
    }
}
