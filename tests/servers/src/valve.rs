//! A way to a server that can be shut, and whose connections can be broken.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A way to a server. While it is shut the server is in a black hole: nothing comes through, and
/// nothing breaks. Dropping it breaks all connections.
#[derive(Debug)]
pub struct Valve {
    url: String,
    state: watch::Sender<State>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    is_open: bool,
    /// How often all connections were broken.
    cuts: u64,
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
        let accepting = tokio::spawn(accept(listener, servers, seen));
        Self { url: format!("http://{address}"), state, accepting }
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

    /// Breaks all connections that there are.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }
}

impl Drop for Valve {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, servers: Vec<String>, state: watch::Receiver<State>) {
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
        let cuts = state.borrow().cuts;
        let (near, far) = (near.into_split(), far.into_split());
        tokio::spawn(until_cut(carry(near.0, far.1, state.clone()), state.clone(), cuts));
        tokio::spawn(until_cut(carry(far.0, near.1, state.clone()), state.clone(), cuts));
    }
}

/// Dropping the halves that `carrying` holds breaks the connection.
async fn until_cut(
    carrying: impl Future<Output = ()>,
    mut state: watch::Receiver<State>,
    cuts: u64,
) {
    tokio::select! {
        () = carrying => {}
        // An error: the valve is gone.
        _ = state.wait_for(|state| state.cuts != cuts) => {}
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut state: watch::Receiver<State>) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let is_open = state.wait_for(|state| state.is_open).await.is_ok();
        if !is_open || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
