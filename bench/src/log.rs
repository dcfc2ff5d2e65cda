//! Events to fill a log with: deliveries as the webhook endpoint appends them, their decisions, and
//! whole stories.

mod story;

use aldis_domain::event::delivery::{
    DeliveryDecided, DeliveryReceived, DeliveryVerdict, Verification,
};
use aldis_domain::id::ProjectKey;
use aldis_domain::stream;
use aldis_domain::trigger::{Push, Trigger};
use aldis_store::{Append, Expected, Meta, NewEvent, Store};
use anyhow::Result;
use tokio::task::JoinSet;

pub(crate) use story::story;

/// Tasks that append at once.
const WRITERS: usize = 64;

/// Delivery `number`, with the work that follows from it.
pub(crate) fn delivery(number: u64) -> Append {
    let (name, event) = received(number);
    Append::new(Meta::from_source("ingress")).write(
        &name,
        Expected::NoStream,
        vec![NewEvent::new(event)],
    )
}

fn received(number: u64) -> (String, DeliveryReceived) {
    // Keys of deliveries are random; so are these, for the trees that hold them.
    let digest = aldis_store::sha256_hex(&number.to_be_bytes());
    let key = format!("{}-{}-4{}", &digest[..8], &digest[8..12], &digest[12..32]);
    let name = stream::delivery("shared", &key);
    let push = Push {
        project: ProjectKey::new(1, number % 100),
        name: format!("refs/heads/branch-{number}"),
        before: digest[..40].parse().ok(),
        after: digest[24..].parse().ok(),
        actor: 1,
        skip_ci: false,
    };
    let received = DeliveryReceived {
        hook: "shared".to_owned(),
        key: Some(key),
        event: "Push Hook".to_owned(),
        verified: Verification::Token,
        previous_secret: false,
        source_ip: Some("127.0.0.1".to_owned()),
        bytes: 10_240,
        payload: digest,
        trigger: Trigger::Push(push),
    };
    (name, received)
}

/// Appends `count` events in streams of two; returns how many there are.
pub(crate) async fn fill(store: &Store, count: usize) -> Result<f64> {
    append_all(store, count.div_ceil(2), |number| Ok(decided(number))).await
}

/// Makes and appends so many; returns how many events there are then.
pub(crate) async fn append_all(
    store: &Store,
    appends: usize,
    make: fn(u64) -> Result<Append>,
) -> Result<f64> {
    let per_writer = appends.div_ceil(WRITERS);
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        tasks.spawn(async move {
            for index in 0..per_writer {
                store.append(make((writer * per_writer + index) as u64)?).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 events")]
    let events = store.head().await?.position as f64;
    Ok(events)
}

/// A delivery that was decided at once, so that no work stays behind.
fn decided(number: u64) -> Append {
    let (name, event) = received(number);
    let reason = "nothing matches".to_owned();
    let verdict = DeliveryVerdict::Ignored { reason };
    let decided = DeliveryDecided { verdict, plans: Vec::new() };
    let events = vec![NewEvent::new(event), NewEvent::new(decided)];
    let append = Append::new(Meta::from_source("ingress"));
    Append { touches: Vec::new(), ..append.write(&name, Expected::NoStream, events) }
}
