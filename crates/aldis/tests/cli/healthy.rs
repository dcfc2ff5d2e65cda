//! `aldis healthy`

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use crate::support::{Said, aldis};

/// What it says to a server that answers every request so.
fn told(answer: &'static str, variables: &[(&str, &str)]) -> Said {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let length = stream.read(&mut request).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let variables: Vec<(&str, String)> =
        variables.iter().map(|(name, value)| (*name, value.replace("HERE", &address))).collect();
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut said = aldis(std::env::temp_dir().as_path(), &["healthy"], &variables);
    said.err = said.err.replace(&address, "HERE");
    let request = served.join().unwrap();
    assert!(!request.contains("sesame"), "nobody need know who asks: {request}");
    assert!(request.contains("/readyz HTTP/1.1"), "{request}");
    said
}

const READY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"ready\":true}";
const UNREADY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 44\r\n\r\n\
    {\"ready\":false,\"reason\":\"the spool is full\"}";

/// A proxy that leads nowhere: none leads to the machine itself.
const PROXY: (&str, &str) = ("http_proxy", "http://127.0.0.1:9");

#[test]
fn a_server_is_asked_where_it_listens() {
    let said = told(READY, &[("ALDIS_LISTEN", "HERE"), PROXY]);
    assert_eq!((said.all().as_str(), said.code), ("exit 0", 0));
    let said = told(UNREADY, &[("ALDIS_LISTEN", "HERE")]);
    assert_eq!(said.all(), "aldis: http://HERE/ is not ready: the spool is full\nexit 1");
}

#[test]
fn a_runner_is_as_healthy_as_its_server() {
    let runner = [("ALDIS_SERVER_URL", "http://HERE/ci"), ("ALDIS_RUNNER_TOKEN", "sesame")];
    assert_eq!(told(READY, &runner).all(), "exit 0");
    let said = told("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n", &runner);
    let expected = "aldis: http://HERE/ci is not ready: the answer was 502 Bad Gateway\nexit 1";
    assert_eq!(said.all(), expected);
}

#[test]
fn who_does_not_answer_is_not_healthy() {
    let said =
        aldis(std::env::temp_dir().as_path(), &["healthy"], &[("ALDIS_LISTEN", "127.0.0.1:9")]);
    assert!(said.code == 1 && said.err.contains("Connection refused"), "{said:?}");
}
