//! What an ordinary day brings forth too rarely to wait for it: somebody who waits for a point helps.

use std::time::Duration;

use aldis_gitlab_sim::{Fault as Answers, FaultKind, Route};

use crate::crew::Crew;
use crate::fault::Role;
use crate::faults::nth;

/// Writers that share the work: as many answers, so that the one that is waited for gets some.
const ANSWERS: u32 = 3;

/// Makes it likelier that an event is written soon; for most that happens by itself. `number`: how
/// often that was tried before.
pub(crate) async fn nudge(crew: &Crew, point: &str, number: u64) {
    let kind = point.rsplit(':').next().unwrap_or_default();
    let limited = || FaultKind::rate_limited(1);
    let (route, answer) = match kind {
        // A run that lost its runner.
        "attempt_lost" => {
            let runner = crew.part(nth(Role::Runner, number));
            if let Ok(_one) = runner.hands.try_lock() {
                runner.kill(Duration::ZERO, None).await;
            }
            return;
        }
        // What was sent and not answered is compared a while later.
        "statuses_compared" => (Route::StatusPost, FaultKind::LoseAnswer),
        "note_compared" => (Route::NoteUpdate, FaultKind::LoseAnswer),
        "note_refused" => (Route::NoteCreate, limited()),
        "deployment_refused" => (Route::DeploymentCreate, limited()),
        _ => return,
    };
    crew.sim.fault(Answers::on(route, answer).times(ANSWERS));
}
