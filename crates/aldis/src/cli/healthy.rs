//! `aldis healthy`: what health checks of services and containers call.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result};

use super::place;
use crate::settings::{RunnerSettings, environment};

pub(super) async fn run() -> Result<u8> {
    let (url, ca_file) = match RunnerSettings::find(&environment)? {
        Some(RunnerSettings { server, .. }) => (server.url, server.ca_file),
        None => (format!("http://{}", reached(place::local(&environment)?.listen)).parse()?, None),
    };
    let ready = aldis_runner::ready(&url, ca_file.as_deref()).await;
    ready.with_context(|| format!("{url} is not ready"))?;
    Ok(0)
}

/// Where this machine itself reaches whoever listens there.
fn reached(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_reached_here() {
        let reached = |listen: &str| reached(listen.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(reached("[::]:8080"), "[::1]:8080");
        assert_eq!(reached("10.0.0.7:80"), "10.0.0.7:80");
    }
}
