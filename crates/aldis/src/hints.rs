//! What this process tells the others, and itself: there is work, the log has grown.

use std::time::Duration;

use aldis_bus::{Bus, Stop as Leave, Topic};
use aldis_domain::touch::WorkKind;
use aldis_store::Store;

use crate::settings::Settings;

/// How long events gather before the pages' lists take them in. A delivery comes to a dozen events
/// within a moment; one step for all of them leaves the writer and the processor to the statuses.
const GATHER: Duration = Duration::from_millis(100);

/// Inside this process, and where a broker is set to others as well.
pub(crate) fn bus(settings: &Settings) -> Bus {
    match settings.amqp.clone() {
        Some(broker) => Bus::through_rabbitmq(broker, settings.roles.topics()),
        None => Bus::in_process(),
    }
}

/// Rings the bus for work that became due: the store's transaction is the outbox.
pub(crate) async fn tell_of_work(store: Store, bus: Bus, mut leave: Leave) {
    let mut bells = store.bells();
    let mut heard = *bells.borrow_and_update();
    loop {
        tokio::select! {
            changed = bells.changed() => if changed.is_err() { return },
            () = leave.wait() => return,
        }
        let now = *bells.borrow_and_update();
        let mut topics: Vec<Topic> =
            now.since(heard).map(|(kind, urgent)| topic(kind, urgent)).collect();
        topics.dedup();
        for topic in topics {
            bus.hint(topic);
        }
        heard = now;
    }
}

/// What tells those who do this kind of work. Each look is a write to the store, so of two who may
/// do it only one is told.
fn topic(kind: WorkKind, urgent: bool) -> Topic {
    match kind {
        WorkKind::Plan if urgent => Topic::Announce,
        WorkKind::Plan => Topic::Plan,
        WorkKind::Run => Topic::Run,
        WorkKind::Statuses if urgent => Topic::UrgentStatuses,
        WorkKind::Statuses => Topic::Statuses,
        WorkKind::Note => Topic::Notes,
        WorkKind::Deployment => Topic::Deployments,
    }
}

/// Hints that the log has grown, when events have gathered.
pub(crate) async fn tell_of_events(store: Store, bus: Bus, mut leave: Leave) {
    let mut positions = store.subscribe();
    loop {
        tokio::select! {
            changed = positions.changed() => if changed.is_err() { return },
            () = leave.wait() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(GATHER) => {}
            () = leave.wait() => return,
        }
        positions.mark_unchanged();
        bus.hint(Topic::Log);
    }
}
