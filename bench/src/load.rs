//! The load generator: keep-alive connections that each send the next request when the last one
//! was answered, or when its time has come. It shares the machine's cores with what it measures.

mod open;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::delivery::Template;
pub(crate) use open::{moments, open_loop, sleep_until};

/// One keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to).await.with_context(|| format!("connect to {to}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(4096) })
    }

    /// Sends a request and reads its answer to the end; returns the status.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                bail!("the server closed the connection");
            }
            if let Some((status, length)) = whole(&self.answer)?
                && self.answer.len() >= length
            {
                return Ok(status);
            }
        }
    }

    /// As [`Self::exchange`]; every answer but 2xx is an error.
    async fn deliver(&mut self, request: &[u8]) -> Result<()> {
        let status = self.exchange(request).await?;
        if !(200..300).contains(&status) {
            bail!("a delivery was answered {status}");
        }
        Ok(())
    }
}

/// Status and full length of an answer whose head is there.
fn whole(answer: &[u8]) -> Result<Option<(u16, usize)>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&answer[..end]).context("an answer's head is not text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.context("an answer without a status")?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    Ok(Some((status, end + 4 + length.unwrap_or(0))))
}

/// What came of a load.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) per_second: f64,
    /// Milliseconds, sorted.
    latencies: Vec<f64>,
}

impl Load {
    /// Of latencies in milliseconds, which took `took` in all.
    pub(crate) fn new(mut latencies: Vec<f64>, took: Duration) -> Result<Self> {
        if latencies.is_empty() {
            bail!("no delivery was answered");
        }
        latencies.sort_by(f64::total_cmp);
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 answers")]
        let per_second = latencies.len() as f64 / took.as_secs_f64();
        Ok(Self { per_second, latencies })
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 answers")]
    pub(crate) fn answers(&self) -> f64 {
        self.latencies.len() as f64
    }

    /// The latency that this share of the answers did not exceed.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into far fewer than 2^52 answers"
        )]
        let at = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(at.min(self.latencies.len() - 1)).copied().unwrap_or(f64::NAN)
    }
}

/// Sends deliveries for `lasting` over `connections`, numbered from `from` on; returns the number
/// after the last. Every answer must be 2xx.
pub(crate) async fn closed_loop(
    to: SocketAddr,
    template: &Template,
    connections: usize,
    lasting: Duration,
    from: u64,
) -> Result<(Load, u64)> {
    let next = Arc::new(AtomicU64::new(from));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let (next, mut template) = (Arc::clone(&next), template.clone());
        let mut connection = Connection::open(to).await?;
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while begun.elapsed() < lasting {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let sent = Instant::now();
                connection.deliver(template.number(number)).await?;
                latencies.push(sent.elapsed().as_secs_f64() * 1000.0);
            }
            Ok(latencies)
        });
    }
    let load = Load::new(collected(tasks).await?, begun.elapsed())?;
    Ok((load, next.load(Ordering::Relaxed)))
}

/// The latencies of all connections.
async fn collected(mut tasks: JoinSet<Result<Vec<f64>>>) -> Result<Vec<f64>> {
    let mut latencies = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        latencies.extend(ended??);
    }
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: x\r\n\r\nhello";
        assert_eq!(whole(answer).unwrap(), Some((200, answer.len())));
        assert_eq!(whole(b"HTTP/1.1 200 OK\r\n").unwrap(), None);
        assert_eq!(whole(b"HTTP/1.1 204 No\r\n\r\n").unwrap(), Some((204, 19)));
        assert!(whole(b"nonsense\r\n\r\n").is_err());
    }

    #[test]
    fn percentiles_are_answers_that_were_given() {
        let latencies = (1..=100).map(f64::from).collect();
        let load = Load { per_second: 1.0, latencies };
        for (share, latency) in [(0.5, 51.0), (0.99, 100.0), (1.0, 100.0)] {
            assert!((load.percentile(share) - latency).abs() < 1e-9, "{share}");
        }
    }
}
