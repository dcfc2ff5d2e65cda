//! From a POST to its durable 2xx.

use aldis_gitlab_sim::{Options, Scope, Simulator};
use anyhow::Result;

use super::{Plan, peers, spread};
use crate::bot::{Bot, Setup};
use crate::delivery::Template;
use crate::floor::Floor;
use crate::load::{Load, closed_loop};
use crate::place::Place;
use crate::report::{Judged, Row, Target};

const CONNECTIONS: usize = 64;
/// A project that GitLab does not know: deliveries are stored and planned, and come to nothing.
const PROJECT: u64 = 4_711;

/// One server under load: what was measured, round by round.
struct Side {
    template: Template,
    address: std::net::SocketAddr,
    next: u64,
    many: Vec<Load>,
    again: Vec<Load>,
}

impl Side {
    fn new(address: std::net::SocketAddr) -> Self {
        let template = Template::new(address, PROJECT);
        let (many, again) = Default::default();
        Self { template, address, next: 0, many, again }
    }

    async fn round(&mut self, plan: &Plan) -> Result<()> {
        let Self { template, address, .. } = self;
        let first = self.next;
        let (many, next) =
            closed_loop(*address, template, CONNECTIONS, plan.lasting, first).await?;
        let (again, _) =
            closed_loop(*address, template, CONNECTIONS, plan.lasting / 4, first).await?;
        self.next = next;
        self.many.push(many);
        self.again.push(again);
        Ok(())
    }
}

pub(crate) async fn rows(plan: &Plan, place: Place<'_>) -> Result<Vec<Row>> {
    let sim = Simulator::start(Options::default()).await?;
    let token = sim.create_token(sim.create_bot("bot"), &[Scope::Api], None)?;
    let (bot_home, floor_home) = (place.home()?, place.home()?);
    let setup = Setup { gitlab: sim.url(), token: &token, home: &bot_home, slots: 2, budget: None };
    let bot = Bot::start(&setup).await?;
    let floor = Floor::start(&floor_home, None).await?;
    let (mut of_bot, mut of_floor) = (Side::new(bot.address), Side::new(floor.address));
    for _ in 0..plan.rounds {
        of_floor.round(plan).await?;
        of_bot.round(plan).await?;
    }
    bot.stop().await?;
    told(&of_bot, &of_floor)
}

fn told(bot: &Side, floor: &Side) -> Result<Vec<Row>> {
    let rate = |loads: &[Load]| spread(loads.iter().map(|load| load.per_second));
    let at = |loads: &[Load], share| spread(loads.iter().map(|load| load.percentile(share)));
    let [buildbot, flask, _] = peers::ACKS;
    let peer = |factor, peer| Target::AtLeast(peers::times(factor, peer, peers::ACKS));
    let acks =
        Row::told("acknowledged, 64 at once", "1/s", rate(&bot.many)?).beside(rate(&floor.many)?);
    let named = |name: &str, targets| {
        Row { name: name.to_owned(), ..acks.clone() }.aims(Judged::Ratio, targets)
    };
    let half = [Target::AtLeast(0.5), Target::AtLeast(0.8)];
    // A repeat costs at most a tenth more than a delivery that is new, and nothing is asked of it
    // before that.
    let repeats = Row::told("repeats acknowledged, 64 at once", "1/s", rate(&bot.again)?)
        .beside(rate(&bot.many)?)
        .aims(Judged::Ratio, [Target::AtLeast(0.0), Target::AtLeast(1.0 / 1.1)]);
    Ok(vec![
        named("acknowledged, 64 at once, vs the floor", half),
        named("… vs Buildbot, by the floor", [peer(60.0, buildbot), peer(200.0, buildbot)]),
        named("… vs Flask and Celery, by the floor", [peer(8.0, flask), peer(20.0, flask)]),
        Row::told("p50, 64 at once", "ms", at(&bot.many, 0.5)?).beside(at(&floor.many, 0.5)?),
        Row::told("p99, 64 at once", "ms", at(&bot.many, 0.99)?).beside(at(&floor.many, 0.99)?),
        repeats,
    ])
}
