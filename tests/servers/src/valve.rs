//! A way to a server that can be shut, and whose connections can be broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A way to a server. While it is shut the server is in a black hole: nothing comes through, and
/// nothing breaks. Dropping it breaks all connections.
#[derive(Debug)]
pub struct Valve {
    url: String,
    state: watch::Sender<State>,
    traffic: Arc<Traffic>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    is_open: bool,
    /// How often all connections were broken.
    cuts: u64,
}

#[derive(Debug, Default)]
struct Traffic {
    /// Connections that there are.
    connections: AtomicUsize,
    /// How often something came while it was shut.
    held_up: AtomicU64,
}

impl Valve {
    /// An open one before the server of a URL with a port, and perhaps user and password.
    pub async fn before(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").expect("a URL such as postgres://u:p@h:1/d");
        let place = rest.split('/').next().unwrap_or_default();
        let server = place.rsplit('@').next().unwrap_or_default().to_owned();
        let mut valve = Self::before_all(vec![server.clone()]).await;
        let address = valve.url.trim_start_matches("http://");
        valve.url = format!("{scheme}://{}", rest.replacen(&server, address, 1));
        valve
    }

    /// An open one before several servers (`host:port`), which take turns; one that is not there is
    /// passed over. The URL is that of an HTTP server.
    pub async fn before_all(servers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let (state, seen) = watch::channel(State { is_open: true, cuts: 0 });
        let traffic = Arc::<Traffic>::default();
        let accepting = tokio::spawn(accept(listener, servers, seen, Arc::clone(&traffic)));
        Self { url: format!("http://{address}"), state, traffic, accepting }
    }

    /// The URL that leads through it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on nothing comes through.
    pub fn shut(&self) {
        self.state.send_modify(|state| state.is_open = false);
    }

    /// What was held up goes on.
    pub fn open(&self) {
        self.state.send_modify(|state| state.is_open = true);
    }

    /// How often something was held up, since it was made.
    pub fn held_up(&self) -> u64 {
        self.traffic.held_up.load(Ordering::Relaxed)
    }

    /// Breaks all connections that there are, by a reset at both ends. Returns how many.
    pub fn cut(&self) -> usize {
        let broken = self.traffic.connections.load(Ordering::Relaxed);
        self.state.send_modify(|state| state.cuts += 1);
        broken
    }
}

impl Drop for Valve {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    servers: Vec<String>,
    state: watch::Receiver<State>,
    traffic: Arc<Traffic>,
) {
    let mut turn = 0;
    while let Ok((near, _)) = listener.accept().await {
        turn += 1;
        let mut reached = None;
        for number in 0..servers.len() {
            let server = &servers[(turn + number) % servers.len()];
            reached = TcpStream::connect(server).await.ok();
            if reached.is_some() {
                break;
            }
        }
        // Servers that are not there are seen as a connection that ends at once.
        let Some(far) = reached else { continue };
        let (state, traffic) = (state.clone(), Arc::clone(&traffic));
        tokio::spawn(async move {
            traffic.connections.fetch_add(1, Ordering::Relaxed);
            join(near, far, state, &traffic).await;
            traffic.connections.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Carries both ways, until both have ended or all connections are broken.
async fn join(
    mut near: TcpStream,
    mut far: TcpStream,
    mut state: watch::Receiver<State>,
    traffic: &Traffic,
) {
    let cuts = state.borrow().cuts;
    let (near_ends, far_ends) = (near.split(), far.split());
    let there = carry(near_ends.0, far_ends.1, state.clone(), traffic);
    let back = carry(far_ends.0, near_ends.1, state.clone(), traffic);
    let is_cut = tokio::select! {
        _ = async { tokio::join!(there, back) } => false,
        // An error: the valve is gone.
        _ = state.wait_for(|state| state.cuts != cuts) => true,
    };
    if is_cut {
        // Whoever has left already cannot be told.
        let _ = (near.set_zero_linger(), far.set_zero_linger());
    }
}

async fn carry(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut state: watch::Receiver<State>,
    traffic: &Traffic,
) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if !state.borrow().is_open {
            traffic.held_up.fetch_add(1, Ordering::Relaxed);
        }
        let is_open = state.wait_for(|state| state.is_open).await.is_ok();
        if !is_open || to.write_all(&bytes[..count]).await.is_err() {
            break;
        }
    }
    // The other end may have ended it.
    let _ = to.shutdown().await;
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[tokio::test]
    async fn a_cut_is_a_reset_at_both_ends_and_what_is_held_up_goes_on() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let valve = Valve::before(&format!("http://{address}")).await;
        assert_eq!(valve.cut(), 0);
        let mut near = TcpStream::connect(valve.url().trim_start_matches("http://")).await.unwrap();
        let (mut far, _) = server.accept().await.unwrap();
        valve.shut();
        near.write_all(b"1").await.unwrap();
        while valve.held_up() == 0 {
            tokio::task::yield_now().await;
        }
        valve.open();
        assert_eq!(far.read_u8().await.unwrap(), b'1');
        assert_eq!(valve.cut(), 1);
        assert_eq!(near.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(far.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}
