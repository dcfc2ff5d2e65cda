//! The floor's second process, where the bot is divided as well: it hears of deliveries through the
//! broker and takes their commits through lanes.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use lapin::options::BasicAckOptions;

use super::lane::{Lanes, Source};
use super::messages::Receiver;

/// First word on its command line.
pub(crate) const COMMAND: &str = "floor-back";

/// Variable with the URL of the broker; without it the floor is one process.
pub(super) const BROKER: &str = "FLOOR_BROKER";

/// What the queue of the floor in `dir` is called.
pub(super) fn queue(dir: &Path) -> String {
    format!("floor-{}", dir.file_name().unwrap_or_default().to_string_lossy())
}

/// The process: says that it is ready and works until it is killed.
pub(crate) fn work(dir: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(dir))
}

async fn run(dir: &Path) -> Result<()> {
    let lanes = match Source::from_environment() {
        Some(source) => Some(Arc::new(Lanes::open(dir, source).await?)),
        None => None,
    };
    let url = std::env::var(BROKER).context(BROKER)?;
    let mut receiver = Receiver::open(&url, &queue(dir)).await?;
    writeln!(std::io::stdout(), "ready")?;
    loop {
        let message = receiver.next().await?;
        let lanes = lanes.clone();
        tokio::spawn(async move {
            let sha = String::from_utf8_lossy(&message.data);
            let taken = match lanes {
                Some(lanes) => lanes.take(&sha).await,
                None => Ok(()),
            };
            let acked = message.ack(BasicAckOptions::default()).await.context("acknowledge");
            if let Err(error) = taken.and(acked.map(drop)) {
                // The measurement misses this commit's status and says so.
                let _ = writeln!(std::io::stderr(), "bench: the floor's lane failed: {error:#}");
            }
        });
    }
}
