//! Carries the plan out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aldis_gitlab_sim::{Fault as Answers, FaultKind};
use aldis_test_servers::RabbitMq;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::crew::Crew;
use crate::plan::{Fault, Planned};
use crate::say;

/// How often it is looked how many webhooks were sent.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Lets one server be broken by one fault at a time.
#[derive(Clone, Default)]
struct Servers {
    database: Arc<Mutex<()>>,
    broker: Arc<Mutex<()>>,
}

impl Servers {
    /// Breaks it, and mends it after a while.
    async fn break_broker(
        &self,
        crew: &Crew,
        away: impl FnOnce(&RabbitMq) + Send + 'static,
        down: Duration,
        back: impl FnOnce(&RabbitMq) + Send + 'static,
    ) {
        let _one = self.broker.lock().await;
        let broker = Arc::clone(&crew.broker);
        blocking(move || {
            away(&broker);
            std::thread::sleep(down);
            back(&broker);
        })
        .await;
    }

    /// As a crash of its machine.
    async fn break_database(&self, crew: &Crew, down: Duration) {
        let _one = self.database.lock().await;
        let postgres = Arc::clone(&crew.postgres);
        blocking(move || {
            postgres.crash();
            std::thread::sleep(down);
            postgres.resume();
        })
        .await;
    }
}

/// Waits for each fault's time and carries it out; those that last go on beside the next ones.
/// Returns when all are healed.
pub(crate) async fn strike(crew: Arc<Crew>, plan: Vec<Planned>) -> Instant {
    let mut lasting = JoinSet::new();
    let servers = Servers::default();
    for Planned { at, fault } in plan {
        while crew.sim.deliveries_fired() < at {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        say(&format!("{at:>6}  {fault}"));
        lasting.spawn(carry_out(Arc::clone(&crew), servers.clone(), fault));
    }
    while let Some(healed) = lasting.join_next().await {
        if let Err(error) = healed {
            say(&format!("a fault could not be carried out: {error}"));
        }
    }
    crew.sim.clear_faults();
    Instant::now()
}

async fn carry_out(crew: Arc<Crew>, servers: Servers, fault: Fault) {
    let seconds = Duration::from_secs;
    match fault {
        Fault::Kill { part, down } => crew.kill(part, seconds(down), None).await,
        Fault::KillAt { part, point } => crew.kill(part, Duration::ZERO, Some(point)).await,
        Fault::Freeze { part, time } => {
            if crew.freeze(part).await {
                tokio::time::sleep(seconds(time)).await;
                crew.thaw(part).await;
            }
        }
        Fault::DatabaseCrash { down } => servers.break_database(&crew, seconds(down)).await,
        Fault::BrokerKill { down } => {
            let away = |broker: &RabbitMq| broker.kill();
            servers.break_broker(&crew, away, seconds(down), RabbitMq::resume).await;
        }
        Fault::BrokerStop { down } => {
            let app = |word| {
                move |broker: &RabbitMq| {
                    broker.ctl(&[word]);
                }
            };
            servers.break_broker(&crew, app("stop_app"), seconds(down), app("start_app")).await;
        }
        Fault::QueueDeleted { queue } => {
            // It may not be there just now.
            let delete = move |broker: &RabbitMq| {
                broker.ctl(&["delete_queue", queue]);
            };
            servers.break_broker(&crew, delete, Duration::ZERO, |_| ()).await;
        }
        Fault::BlackHole { part, link, time } => {
            let way = crew.way(part, link);
            way.shut();
            tokio::time::sleep(seconds(time)).await;
            way.open();
        }
        Fault::Reset { part, link } => crew.way(part, link).cut(),
        Fault::DiskFull { part, time } => {
            if let Err(error) = crew.fill_disk(part, seconds(time)).await {
                say(&format!("a disk could not be filled or emptied: {error}"));
            }
        }
        Fault::LostAnswers { route, times } => {
            crew.sim.fault(Answers::on(route, FaultKind::LoseAnswer).times(times));
        }
    }
}

async fn blocking(work: impl FnOnce() + Send + 'static) {
    if let Err(error) = tokio::task::spawn_blocking(work).await {
        say(&format!("a server could not be brought back: {error}"));
    }
}
