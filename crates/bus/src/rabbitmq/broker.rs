//! Where the broker is, and who vouches for it.

use std::fs;

use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// Names the file of an authority in a URL, as in RabbitMQ's own clients.
const AUTHORITY: &str = "cacertfile";
/// Parameters that the client itself reads.
const KNOWN: [&str; 5] =
    ["auth_mechanism", "channel_max", "connection_timeout", "frame_max", "heartbeat"];

/// A broker's address, which has been checked. It is not connected to before it is used.
#[derive(Debug, Clone)]
pub struct Broker {
    url: SecretString,
    /// Certificates in PEM that vouch for it, besides those that the system trusts.
    authority: Option<String>,
}

/// What is wrong with an address. It is not repeated: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("it should be a URL such as amqps://user:password@host:5671")]
    NotAUrl,
    #[error("its host should be a name or an IPv4 address")]
    Host,
    #[error("`{0}` is not known; after `?` may stand {AUTHORITY}, {known}", known = KNOWN.join(", "))]
    Parameter(String),
    #[error("{AUTHORITY} is for amqps:// only: without TLS nobody has to vouch for the broker")]
    WithoutTls,
    #[error("{AUTHORITY}: `{path}` should hold certificates in PEM: {why}")]
    Authority { path: String, why: String },
}

impl Broker {
    /// `amqp://user:password@host:5672/vhost`, or `amqps://` for TLS, with port 5671. The broker's
    /// certificate must then be from an authority that the system trusts, or from one in the file
    /// that `?cacertfile=` names.
    pub fn at(url: SecretString) -> Result<Self, BrokerError> {
        let parsed = Url::parse(url.expose_secret()).map_err(|_| BrokerError::NotAUrl)?;
        if !matches!(parsed.scheme(), "amqp" | "amqps")
            || url.expose_secret().parse::<AMQPUri>().is_err()
        {
            return Err(BrokerError::NotAUrl);
        }
        // The client takes no other hosts, and would connect to this machine instead.
        if !parsed.host_str().is_some_and(|host| !host.is_empty() && !host.starts_with('[')) {
            return Err(BrokerError::Host);
        }
        let mut authority = None;
        for (name, value) in parsed.query_pairs() {
            if name == AUTHORITY {
                authority = Some(certificates(&value)?);
            } else if !KNOWN.contains(&&*name) {
                // After a `?` that was meant to be of the password stands the rest of it.
                let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
                let is_told = is_name && !parsed.username().is_empty();
                let told = is_told.then(|| BrokerError::Parameter(name.into_owned()));
                return Err(told.unwrap_or(BrokerError::NotAUrl));
            }
        }
        if authority.is_some() && parsed.scheme() != "amqps" {
            return Err(BrokerError::WithoutTls);
        }
        Ok(Self { url, authority })
    }

    /// A connection that the broker shows under `name`.
    pub(super) async fn connect(&self, name: &str) -> lapin::Result<Connection> {
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let tls = OwnedTLSConfig { identity: None, cert_chain: self.authority.clone() };
        let runtime = lapin::runtime::default_runtime()?;
        Connection::connect_with_config(self.url.expose_secret(), properties, tls, runtime).await
    }
}

fn certificates(path: &str) -> Result<String, BrokerError> {
    let wrong = |why: String| BrokerError::Authority { path: path.to_owned(), why };
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        return Err(wrong("there is none in it".to_owned()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(url: &str) -> String {
        Broker::at(url.into()).map_or_else(|error| error.to_string(), |_| "good".to_owned())
    }

    #[test]
    fn what_is_wrong_with_an_address_is_told_without_its_password() {
        for good in [
            "amqp://aldis:sesame@mq.example.org:5672",
            "amqps://aldis:sesame@mq.example.org/%2f?heartbeat=10",
        ] {
            assert_eq!(told(good), "good");
        }
        for (wrong, part) in [
            ("mq.example.org", "such as amqps://user:password@host:5671"),
            ("https://aldis:sesame@mq.example.org", "such as amqps://"),
            ("amqp://aldis:sesame@mq.example.org?heartbeat=often", "such as amqps://"),
            ("amqps://aldis:?sesame@mq.example.org", "such as amqps://"),
            ("amqps://aldis:8?sesame", "such as amqps://"),
            ("amqps://aldis:sesame@[::1]:5671", "a name or an IPv4 address"),
            ("amqps://aldis:sesame@mq.example.org?verify=verify_none", "`verify` is not known"),
            ("amqps://aldis:sesame@mq.example.org?cacertfile=/dev/null", "there is none in it"),
            ("amqps://aldis:sesame@mq.example.org?cacertfile=/none.pem", "`/none.pem` should hold"),
        ] {
            let told = told(wrong);
            assert!(told.contains(part) && !told.contains("sesame"), "{told}");
        }
    }

    #[test]
    fn nobody_vouches_for_a_broker_without_tls() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "-----BEGIN CERTIFICATE-----\n").unwrap();
        let url = format!("amqp://mq.example.org?cacertfile={}", file.path().display());
        assert!(told(&url).contains("amqps:// only"));
    }

    #[tokio::test]
    async fn over_tls_somebody_must_vouch_for_the_broker() {
        let server = tokio::task::spawn_blocking(aldis_test_servers::RabbitMq::with_tls);
        let server = server.await.unwrap();
        let (url, authority) = server.tls();
        let vouched = format!("{url}?cacertfile={}", authority.display());
        let connection = Broker::at(vouched.into()).unwrap().connect("test").await.unwrap();
        assert!(connection.status().connected());
        let unknown = Broker::at(url.into()).unwrap().connect("test").await;
        let why = format!("{:?}", unknown.map(drop).unwrap_err());
        assert!(why.contains("UnknownIssuer"), "{why}");
    }
}
