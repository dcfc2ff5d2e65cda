//! Which parts of the bot a process is.

use std::collections::BTreeSet;

use aldis_bus::Topic;
use anyhow::{Result, bail};
use clap::ValueEnum;

/// A part of the bot that may have processes of its own. They meet in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Role {
    /// Takes webhooks.
    Ingress,
    /// Decides what a delivery asks for.
    Planner,
    /// Hands runs to runners on other machines.
    Dispatch,
    /// Executes runs, straight from the database.
    Runner,
    /// Writes statuses, comments and deployments.
    Feedback,
    /// Serves pages, and keeps what they read up to date.
    Web,
}

/// The roles of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(BTreeSet<Role>);

impl Default for Roles {
    /// The whole bot.
    fn default() -> Self {
        Self(Role::value_variants().iter().copied().collect())
    }
}

impl FromIterator<Role> for Roles {
    /// None at all means the whole bot.
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        let roles: BTreeSet<Role> = roles.into_iter().collect();
        if roles.is_empty() { Self::default() } else { Self(roles) }
    }
}

impl Roles {
    /// Whether this process is `role`.
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// What these roles listen to.
    pub(crate) fn topics(&self) -> Vec<Topic> {
        let of = |role| match role {
            Role::Ingress => &[][..],
            Role::Planner => &[Topic::Announce, Topic::Plan],
            Role::Dispatch => &[Topic::Run, Topic::Cancel],
            Role::Runner => &[Topic::Run, Topic::Cancel, Topic::Commit],
            Role::Feedback => {
                &[Topic::UrgentStatuses, Topic::Statuses, Topic::Notes, Topic::Deployments]
            }
            Role::Web => &[Topic::Log],
        };
        let topics: BTreeSet<Topic> = self.0.iter().flat_map(|role| of(*role)).copied().collect();
        topics.into_iter().collect()
    }

    /// Only a database server can be shared by processes.
    pub(crate) fn check(&self, is_shared: bool) -> Result<()> {
        if !is_shared && *self != Self::default() {
            bail!(
                "--role: on SQLite one process is the whole bot; to divide it, set \
                 ALDIS_DATABASE_URL to a postgres:// URL"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_role_is_every_role_and_a_part_needs_a_shared_database() {
        let all: Roles = [].into_iter().collect();
        assert!(all.has(Role::Ingress) && all.has(Role::Web) && all.check(false).is_ok());
        let part: Roles = [Role::Planner].into_iter().collect();
        assert!(part.has(Role::Planner) && !part.has(Role::Runner));
        assert!(part.check(true).is_ok());
        assert_eq!((part.topics().len(), all.topics().len()), (2, Topic::ALL.len()));
        assert!(part.check(false).unwrap_err().to_string().contains("ALDIS_DATABASE_URL"));
    }
}
