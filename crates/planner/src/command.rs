//! Comment commands: done or refused once per note and command, with the reason kept.

use aldis_domain::change::{DEVELOPER, command_key};
use aldis_domain::event::change::CommandHandled;
use aldis_domain::event::delivery::{DeliveryPlan, DeliveryVerdict};
use aldis_domain::id::ChangeKey;
use aldis_domain::planning::{self, Asked};
use aldis_domain::trigger::{Command, NoteTrigger};

use crate::delivery::ignored;
use crate::plan::Source;
use crate::{PlanError, Planner};

type Decided = (DeliveryVerdict, Vec<DeliveryPlan>);

impl Planner {
    pub(crate) async fn decide_note(
        &self,
        note: &NoteTrigger,
        source: &Source,
    ) -> Result<Decided, PlanError> {
        let Some(iid) = note.merge_request else {
            return Ok(ignored("the comment is not on a merge request"));
        };
        if note.actor == self.own_user {
            return Ok(ignored("the comment is our own"));
        }
        if note.system || !note.created {
            return Ok(ignored("only a new comment of a person is read for commands"));
        }
        if note.commands.is_empty() {
            return Ok(ignored("the comment holds no command"));
        }
        let key = ChangeKey::MergeRequest { project: note.project, iid };
        let level = self.access_level(note.project, note.actor).await?;
        let mut plans = Vec::new();
        let mut told = Vec::new();
        for command in &note.commands {
            let word = command_key(command);
            if self.change(&key).await?.commands.contains(&(note.note, word.clone())) {
                told.push(format!("/{word}: done before"));
                continue;
            }
            let handled = CommandHandled {
                note: note.note,
                command: command.clone(),
                actor: note.actor,
                access_level: level,
                refused: self.refusal(&key, command, level).await?,
            };
            match handled.refused {
                Some(_) => self.refuse(&key, handled, source).await?,
                None => self.carry_out(&key, handled, source, &mut plans).await?,
            }
            // Another delivery of the comment may have been faster, and seen other facts.
            let dealt_with = self.change(&key).await?.handled;
            let this = |h: &CommandHandled| h.note == note.note && h.command == *command;
            let refused = dealt_with.into_iter().rfind(this).and_then(|h| h.refused);
            told.push(match refused {
                None => format!("/{word}: done"),
                Some(reason) => format!("/{word}: refused, {reason}"),
            });
        }
        Ok((DeliveryVerdict::Command { reason: told.join("; ") }, plans))
    }

    /// Why the command is not done, by the actor's rights as GitLab tells them now.
    async fn refusal(
        &self,
        key: &ChangeKey,
        command: &Command,
        level: u32,
    ) -> Result<Option<String>, PlanError> {
        if matches!(command, Command::Help) {
            return Ok(None);
        }
        if level < DEVELOPER {
            return Ok(Some("it takes the Developer role".to_owned()));
        }
        let Command::Test { stacks } = command else { return Ok(None) };
        let Some(head) = self.change(key).await?.head else { return Ok(None) };
        let file = self.config_file(key.project(), head.as_str()).await?;
        let known: Vec<String> = match file.map(|f| aldis_domain::config::read(&f)) {
            Some(Ok((config, _))) => config.stacks.keys().cloned().collect(),
            _ => return Ok(None),
        };
        let unknown: Vec<&str> =
            stacks.iter().filter(|s| !known.contains(s)).map(String::as_str).collect();
        Ok((!unknown.is_empty()).then(|| {
            format!("there is no stack {}; the stacks are {}", unknown.join(", "), known.join(", "))
        }))
    }

    /// Does what is asked, and keeps that it was, or why it could not be done.
    async fn carry_out(
        &self,
        key: &ChangeKey,
        handled: CommandHandled,
        source: &Source,
        plans: &mut Vec<DeliveryPlan>,
    ) -> Result<(), PlanError> {
        let asked = match &handled.command {
            Command::Help | Command::Cancel => {
                self.decide_by(&source.meta, |ledger| {
                    planning::handle_once(ledger, key, &handled, |ledger| match handled.command {
                        Command::Cancel => planning::cancel_runs(ledger, key, handled.actor),
                        _ => Ok(()),
                    })
                })
                .await?;
                return Ok(());
            }
            Command::Retest => Asked::Retest,
            Command::Test { stacks } => Asked::Test(stacks.clone()),
        };
        let of_command = Source { command: Some(handled.clone()), ..source.clone() };
        if let Some(plan) = self.plan_merge_request(key, asked, &of_command).await? {
            plans.push(plan);
            return Ok(());
        }
        let refused = Some("the merge request is not open".to_owned());
        self.refuse(key, CommandHandled { refused, ..handled }, source).await
    }

    /// Keeps that the command was refused.
    async fn refuse(
        &self,
        key: &ChangeKey,
        refused: CommandHandled,
        source: &Source,
    ) -> Result<(), PlanError> {
        self.decide_by(&source.meta, |ledger| {
            planning::handle_once(ledger, key, &refused, |_| Ok(()))
        })
        .await
        .map(drop)
    }
}
