//! The config that counts for a member's merge request: its own, but for the safety keys.

use super::model::{Config, Network};

/// Takes `environment`, `executor` and a `network: none` of every stack from the target branch's
/// config, so that a merge request cannot give itself what only reviewed code may have. A stack
/// that the target branch does not have gets no environment and the server's executor.
///
/// For a fork's merge request the target branch's config counts as a whole; do not call this.
pub fn effective(head: &Config, target: Option<&Config>) -> Config {
    let mut config = head.clone();
    for (name, stack) in &mut config.stacks {
        let safe = target.and_then(|target| target.stacks.get(name));
        stack.environment = safe.and_then(|safe| safe.environment.clone());
        stack.executor = safe.and_then(|safe| safe.executor);
        if safe.is_some_and(|safe| safe.network == Network::None) {
            stack.network = Network::None;
        }
    }
    config
}
