//! Comment commands: what one asks for and the word that it was done land together, once.

use super::{Ledger, Undecided};
use crate::change::{Change, command_key};
use crate::event::change::CommandHandled;
use crate::id::ChangeKey;
use crate::stream;

/// Lets `act` decide, and tells that the command was handled. `None`: it was before, by another
/// delivery of the same comment or by this one before its process ended; nothing is decided then.
pub fn handle_once<T>(
    ledger: &mut Ledger,
    key: &ChangeKey,
    handled: &CommandHandled,
    act: impl FnOnce(&mut Ledger) -> Result<T, Undecided>,
) -> Result<Option<T>, Undecided> {
    let name = stream::change(key);
    let change: Change = ledger.fold(&name)?;
    if change.commands.contains(&(handled.note, command_key(&handled.command))) {
        return Ok(None);
    }
    let done = act(ledger)?;
    ledger.append(&name, handled.clone());
    Ok(Some(done))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::change::ChangeEnded;
    use crate::event::{EndReason, Event};
    use crate::id::ProjectKey;
    use crate::trigger::Command;

    #[test]
    fn what_is_asked_and_the_word_of_it_land_together_and_once() {
        let key = ChangeKey::MergeRequest { project: ProjectKey { instance: 1, id: 1 }, iid: 1 };
        let name = stream::change(&key);
        let handled = CommandHandled {
            note: 7,
            command: Command::Retest,
            actor: 1,
            access_level: 30,
            refused: None,
        };
        let act = |ledger: &mut Ledger| {
            ledger.append(&name, ChangeEnded { reason: EndReason::Closed });
            Ok(())
        };
        let mut ledger = Ledger::default();
        let missing = Err(Undecided::Missing(name.clone()));
        assert_eq!(handle_once(&mut ledger, &key, &handled, act), missing);
        ledger.load(name.clone(), Vec::new());
        assert_eq!(handle_once(&mut ledger, &key, &handled, act), Ok(Some(())));
        let log: Vec<_> = ledger.into_events().into_iter().map(|(_, event)| event).collect();
        let kinds: Vec<_> = log.iter().map(Event::kind).collect();
        assert_eq!(kinds, ["change_ended", "command_handled"]);

        let mut again = Ledger::default();
        again.load(name.clone(), log);
        assert_eq!(handle_once(&mut again, &key, &handled, act), Ok(None));
        assert_eq!(again.into_events(), []);
    }
}
