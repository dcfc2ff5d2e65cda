//! The endpoint behind a real listener.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};
use aldis_domain::event::Event;
use aldis_domain::event::delivery::{DeliveryQuarantined, DeliveryReceived, DeliveryRefused};
use aldis_gitlab::hook::{Secrets, SigningKey};
use aldis_ingress::{Ingress, Spool};
use aldis_store::{Settings, Store};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::post::{Answer, Post};

/// The current secret token.
pub(crate) const TOKEN: &str = "swordfish";
/// The previous one.
pub(crate) const OLD_TOKEN: &str = "herring";
/// The current signing token: bytes 0 to 31.
pub(crate) const KEY: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// The previous one: bytes 100 to 131.
pub(crate) const OLD_KEY: &str = "whsec_ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM=";

/// A running endpoint. Its server ends with it.
pub(crate) struct Endpoint {
    pub(crate) store: Store,
    pub(crate) dir: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) ingress: Ingress,
    leave: oneshot::Sender<()>,
    drained: JoinHandle<()>,
    server: ServerHandle,
    served: JoinHandle<std::io::Result<()>>,
}

/// What is configured.
pub(crate) fn secrets(tokens: &[&str], keys: &[&str]) -> Secrets {
    Secrets {
        tokens: tokens.iter().map(|&token| token.into()).collect(),
        signing: keys.iter().map(|key| SigningKey::parse(key).unwrap()).collect(),
    }
}

impl Endpoint {
    /// With one secret token.
    pub(crate) async fn start() -> Self {
        Self::with(secrets(&[TOKEN], &[])).await
    }

    pub(crate) async fn with(secrets: Secrets) -> Self {
        Self::in_dir(tempfile::tempdir().unwrap(), secrets).await
    }

    pub(crate) async fn in_dir(dir: TempDir, secrets: Secrets) -> Self {
        let settings = Settings::in_dir(dir.path());
        Self::at(dir, &settings, 1 << 30, secrets).await
    }

    /// Over this store, with a spool of so many bytes in `dir`.
    pub(crate) async fn at(dir: TempDir, store: &Settings, limit: u64, secrets: Secrets) -> Self {
        let store = Store::open(store).await.unwrap();
        let spool = Spool::open(dir.path().join("spool"), limit).unwrap();
        let ingress = Ingress::new(store.clone(), spool, secrets, 1);
        let (leave, told) = oneshot::channel::<()>();
        let drained = tokio::spawn(ingress.clone().drain(async move { drop(told.await) }));
        let shared = ingress.clone();
        let server = HttpServer::new(move || {
            let ingress = shared.clone();
            App::new().configure(move |config| ingress.configure(config))
        })
        .workers(2)
        // A machine that is very busy lets the sender of a head wait.
        .client_request_timeout(Duration::from_mins(1))
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        let served = tokio::spawn(server);
        Self { store, dir, address, ingress, leave, drained, server: handle, served }
    }

    pub(crate) async fn send(&self, post: &Post) -> Answer {
        post.send(self.address).await
    }

    /// The status of the answer.
    pub(crate) async fn status(&self, post: &Post) -> u16 {
        self.send(post).await.status
    }

    /// The whole log: stream and event.
    pub(crate) async fn log(&self) -> Vec<(String, Event)> {
        let log = self.store.read(0, 10_000).await.unwrap();
        log.into_iter().map(|e| (e.stream.clone(), e.event().unwrap())).collect()
    }

    pub(crate) async fn received(&self) -> Vec<DeliveryReceived> {
        let log = self.log().await.into_iter();
        log.filter_map(|(_, event)| match event {
            Event::DeliveryReceived(received) => Some(received),
            _ => None,
        })
        .collect()
    }

    pub(crate) async fn quarantined(&self) -> Vec<DeliveryQuarantined> {
        let log = self.log().await.into_iter();
        log.filter_map(|(_, event)| match event {
            Event::DeliveryQuarantined(quarantined) => Some(quarantined),
            _ => None,
        })
        .collect()
    }

    pub(crate) async fn refused(&self) -> Vec<DeliveryRefused> {
        let log = self.log().await.into_iter();
        log.filter_map(|(_, event)| match event {
            Event::DeliveryRefused(refused) => Some(refused),
            _ => None,
        })
        .collect()
    }

    /// The body that is kept with the first event. `digest` (hex) is the event's word for it.
    pub(crate) async fn payload(&self, digest: &str) -> Vec<u8> {
        let kept = self.store.payload(1).await.unwrap().unwrap();
        let body = lz4_flex::decompress_size_prepended(&kept).unwrap();
        assert_eq!(aldis_store::sha256_hex(&body), digest);
        body
    }

    /// Ends the server and the store; what is on disk stays.
    pub(crate) async fn stop(self) -> TempDir {
        self.store.verify(|_| ()).await.unwrap();
        self.end().await
    }

    /// The same where the store may be closed already.
    pub(crate) async fn end(self) -> TempDir {
        self.server.stop(true).await;
        self.served.await.unwrap().unwrap();
        self.leave.send(()).unwrap();
        self.drained.await.unwrap();
        self.store.close().await;
        self.dir
    }
}
