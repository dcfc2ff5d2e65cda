//! Requests at times that are fixed in advance, however long answers take. A latency counts from
//! the time at which its request should have been sent, so who is slow is not asked less often.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Connection, Load, collected};
use crate::delivery::Template;

/// A connection that waits for an answer lets the next of its turns wait, and that counts.
const CONNECTIONS: usize = 64;

/// Sends new deliveries, the first at once. Every answer must be 2xx.
pub(crate) async fn open_loop(
    to: SocketAddr,
    template: &Template,
    per_second: u32,
    lasting: Duration,
) -> Result<Load> {
    let mut tasks = JoinSet::new();
    let mut turns = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let (turn, mut coming) = mpsc::unbounded_channel::<(u64, Instant)>();
        turns.push(turn);
        let (mut connection, mut template) = (Connection::open(to).await?, template.clone());
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while let Some((number, due)) = coming.recv().await {
                connection.deliver(template.number(number)).await?;
                latencies.push(due.elapsed().as_secs_f64() * 1000.0);
            }
            Ok(latencies)
        });
    }
    let begun = Instant::now();
    // A thread of its own: the runtime's timers are a millisecond wide.
    let pacing = tokio::task::spawn_blocking(move || {
        for ((number, due), turn) in
            (0..).zip(moments(per_second, lasting)).zip(turns.iter().cycle())
        {
            sleep_until(due);
            // A connection that is gone tells its error by itself.
            let _ = turn.send((number, due));
        }
    });
    pacing.await?;
    Load::new(collected(tasks).await?, begun.elapsed())
}

/// Moments at equal distances, from now on for `lasting`.
pub(crate) fn moments(per_second: u32, lasting: Duration) -> impl Iterator<Item = Instant> {
    let (begun, every) = (Instant::now(), Duration::from_secs(1) / per_second);
    (0..)
        .map(move |number| every * number)
        .take_while(move |after| *after < lasting)
        .map(move |after| begun + after)
}

/// Blocks the thread.
pub(crate) fn sleep_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_keep_their_distance() {
        let moments: Vec<Instant> = moments(100, Duration::from_millis(30)).collect();
        let distances: Vec<Duration> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(distances, [Duration::from_millis(10); 2]);
    }
}
