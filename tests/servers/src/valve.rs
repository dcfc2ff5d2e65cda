//! A way to a server that can be shut, and whose connections can be broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::trap::{Asked, Caught, Moment, Trap, Traps};

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
    traps: Traps,
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
        Self::balance(servers, false).await
    }

    /// As a balancer does it: besides, each is asked on `/readyz` before it gets a connection.
    pub async fn before_ready(servers: Vec<String>) -> Self {
        Self::balance(servers, true).await
    }

    async fn balance(servers: Vec<String>, asks: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let (state, seen) = watch::channel(State { is_open: true, cuts: 0 });
        let traffic = Arc::<Traffic>::default();
        let servers = Servers { addresses: servers, asks, turn: 0 };
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

    /// Waits until such a request comes, and holds it or its answer. One trap at a time.
    pub async fn catch(&self, trap: Trap) -> Caught {
        self.traffic.traps.catch(trap).await
    }
}

impl Drop for Valve {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Those behind a valve.
struct Servers {
    addresses: Vec<String>,
    /// Whether each is asked if it is ready.
    asks: bool,
    turn: usize,
}

impl Servers {
    /// A connection to the next one that is there.
    async fn reach(&mut self) -> Option<TcpStream> {
        self.turn += 1;
        for number in 0..self.addresses.len() {
            let server = &self.addresses[(self.turn + number) % self.addresses.len()];
            if self.asks && !is_ready(server).await.unwrap_or(false) {
                continue;
            }
            if let Ok(reached) = TcpStream::connect(server).await {
                return Some(reached);
            }
        }
        None
    }
}

async fn is_ready(server: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(server).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}

async fn accept(
    listener: TcpListener,
    mut servers: Servers,
    state: watch::Receiver<State>,
    traffic: Arc<Traffic>,
) {
    while let Ok((near, _)) = listener.accept().await {
        // Servers that are not there are seen as a connection that ends at once.
        let Some(far) = servers.reach().await else { continue };
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
    let asked = Asked::default();
    let watch = |moment| Watch { state: state.clone(), traffic, asked: &asked, moment };
    let there = carry(near_ends.0, far_ends.1, watch(Moment::Asked));
    let back = carry(far_ends.0, near_ends.1, watch(Moment::Answered));
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

/// What is looked at while one direction of a connection is carried.
struct Watch<'a> {
    state: watch::Receiver<State>,
    traffic: &'a Traffic,
    asked: &'a Asked,
    moment: Moment,
}

async fn carry(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, watch: Watch<'_>) {
    let Watch { mut state, traffic, asked, moment } = watch;
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if !state.borrow().is_open {
            traffic.held_up.fetch_add(1, Ordering::Relaxed);
        }
        let is_open = state.wait_for(|state| state.is_open).await.is_ok();
        let bytes = &bytes[..count];
        if !is_open
            || traffic.traps.hold(asked, moment, bytes).await
            || to.write_all(bytes).await.is_err()
        {
            break;
        }
    }
    // The other end may have ended it.
    let _ = to.shutdown().await;
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::time::Duration;

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

    /// A server that answers each request with the next of these, and what it was asked.
    async fn talk(
        valve: &Valve,
        server: TcpListener,
        answers: &'static [&'static str],
    ) -> TcpStream {
        let near = TcpStream::connect(valve.url().trim_start_matches("http://")).await.unwrap();
        tokio::spawn(async move {
            let (mut far, _) = server.accept().await.unwrap();
            let mut request = [0; 100];
            for answer in answers {
                assert_ne!(far.read(&mut request).await.unwrap(), 0);
                far.write_all(answer.as_bytes()).await.unwrap();
            }
            // What is lost on its way ends the connection.
            assert_eq!(far.read(&mut request).await.unwrap(), 0);
        });
        near
    }

    #[tokio::test]
    async fn a_request_or_its_answer_is_caught_and_goes_on_or_is_lost() {
        const REQUEST: &[u8] = b"POST /a?b=c HTTP/1.1\r\n\r\n";
        const NONE: &str = "HTTP/1.1 204 No Content\r\n\r\n";
        const SOME: &str = "HTTP/1.1 200 OK\r\n\r\n";
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let valve = Valve::before(&format!("http://{}", server.local_addr().unwrap())).await;
        let mut near = talk(&valve, server, &[NONE, SOME, SOME]).await;
        let mut answer = vec![0; 100];
        let caught = |moment| valve.catch(Trap { moment, path: "/a", status: 200 });

        // The first answer is not the one that is waited for.
        let asks = async {
            near.write_all(REQUEST).await.unwrap();
            let count = near.read(&mut answer).await.unwrap();
            assert_eq!(&answer[..count], NONE.as_bytes());
            near.write_all(REQUEST).await.unwrap();
        };
        let (held, ()) = tokio::join!(caught(Moment::Answered), asks);
        drop(held);
        let count = near.read(&mut answer).await.unwrap();
        assert_eq!(&answer[..count], SOME.as_bytes());

        // Nobody waits any more: all goes on.
        assert!(tokio::time::timeout(Duration::ZERO, caught(Moment::Asked)).await.is_err());
        near.write_all(REQUEST).await.unwrap();
        let count = near.read(&mut answer).await.unwrap();
        assert_eq!(&answer[..count], SOME.as_bytes());

        let (held, sent) = tokio::join!(caught(Moment::Asked), near.write_all(REQUEST));
        sent.unwrap();
        held.lose();
        assert_eq!(near.read(&mut answer).await.unwrap(), 0);
    }
}
