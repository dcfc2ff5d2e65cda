//! The way to the run queue over TLS, when only a file of the operator's knows the authority.
//!
//! OpenSSL stands where the server's proxy would: it ends TLS, and the test reads and answers what
//! comes inside. Never here: an authority that the machine knows.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use aldis_domain::config::Stack;
use aldis_protocol::{Assignment, ClaimRequest, DispatchError, Dispatcher};
use aldis_runner::{Remote, Server};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::support::{PATIENCE, Repo, assignment, stack, step};

const TOKEN: &str = "the-runner's-own-token";

/// A server at 127.0.0.1, and the authority that vouches for it.
struct Https {
    dir: TempDir,
    port: String,
    /// What is written there goes to whoever has connected.
    stdin: ChildStdin,
    /// What they send, between what OpenSSL tells of them.
    stdout: BufReader<ChildStdout>,
    server: Child,
}

/// Runs it in `dir`; the words are separated by spaces.
async fn openssl(dir: &Path, words: &str) {
    let output = Command::new("openssl").args(words.split(' ')).current_dir(dir).output().await;
    let output = output.expect("openssl is needed: apt-get install openssl");
    assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Https {
    /// Its certificate is for this address.
    async fn of(address: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let extensions = format!("subjectAltName=IP:{address}\nbasicConstraints=CA:FALSE\n");
        std::fs::write(dir.path().join("extensions"), extensions).unwrap();
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        for words in [
            &format!("req -x509 {key} -days 2 -subj /CN=own -keyout own.key -out own.pem"),
            &format!("req {key} -subj /CN=server -keyout server.key -out server.csr"),
            "x509 -req -in server.csr -CA own.pem -CAkey own.key -CAcreateserial -days 2 \
             -extfile extensions -out server.pem",
        ] {
            openssl(dir.path(), words).await;
        }
        let mut server = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-cert", "server.pem"])
            .args(["-key", "server.key"])
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = server.stdin.take().unwrap();
        let stdout = BufReader::new(server.stdout.take().unwrap());
        let mut this = Self { dir, port: String::new(), stdin, stdout, server };
        let accepts = this.line("ACCEPT ").await;
        accepts.rsplit(':').next().unwrap().clone_into(&mut this.port);
        this
    }

    fn authority(&self) -> PathBuf {
        self.dir.path().join("own.pem")
    }

    fn runner(&self, ca_file: Option<PathBuf>) -> Remote {
        let url = format!("https://127.0.0.1:{}", self.port).parse().unwrap();
        Remote::new(&Server { url, token: TOKEN.into(), ca_file }).unwrap()
    }

    /// The next line that begins so.
    async fn line(&mut self, begin: &str) -> String {
        loop {
            let mut line = String::new();
            let read = timeout(PATIENCE, self.stdout.read_line(&mut line)).await;
            assert_ne!(read.expect("it says something").unwrap(), 0, "it has ended");
            if line.starts_with(begin) {
                return line.trim_end().to_owned();
            }
        }
    }

    /// Waits for a claim and answers it; its token and its body.
    async fn hand_out(&mut self, assignment: &Assignment) -> (String, String) {
        self.line("POST /api/v1/runner/claim HTTP/1.1").await;
        let (mut token, mut length) = (String::new(), 0);
        loop {
            let line = self.line("").await;
            match line.split_once(": ") {
                Some(("authorization", value)) => value.clone_into(&mut token),
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.stdout.read_exact(&mut body).await.unwrap();
        let answer = serde_json::to_string(assignment).unwrap();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            answer.len()
        );
        self.stdin.write_all((head + &answer).as_bytes()).await.unwrap();
        (token, String::from_utf8(body).unwrap())
    }

    /// Ends it; what it said that nobody has read.
    async fn end(mut self) -> String {
        self.server.kill().await.unwrap();
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).await.unwrap();
        rest
    }
}

fn wish() -> ClaimRequest {
    ClaimRequest { runner: "north/0".to_owned(), id: "1".to_owned(), again: false }
}

/// Why a claim got nothing.
async fn refused(runner: &Remote) -> String {
    match runner.claim(wish()).await {
        Err(DispatchError::Unavailable(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn over_tls_somebody_must_vouch_for_the_server() {
    let stack: Stack = stack(vec![step("only", "true")]);
    let assignment = assignment(&Repo::new(&[("README", "hello\n")]), stack);

    let mut server = Https::of("127.0.0.1").await;
    let why = refused(&server.runner(None)).await;
    assert!(why.ends_with("invalid peer certificate: UnknownIssuer"), "{why}");
    let runner = server.runner(Some(server.authority()));
    let handed_out = async { Ok(server.hand_out(&assignment).await) };
    let (claimed, asked) = tokio::try_join!(runner.claim(wish()), handed_out).unwrap();
    let claimed = serde_json::to_value(claimed.unwrap()).unwrap();
    assert_eq!(claimed, serde_json::to_value(&assignment).unwrap());
    let body = serde_json::to_string(&wish()).unwrap();
    assert_eq!(asked, (format!("Bearer {TOKEN}"), body));

    let other = Https::of("127.0.0.2").await;
    let why = refused(&other.runner(Some(other.authority()))).await;
    assert!(why.contains("certificate not valid for name \"127.0.0.1\""), "{why}");
    for server in [server, other] {
        let said = server.end().await;
        assert!(!said.contains("HTTP/1.1"), "who was not vouched for was told: {said}");
    }
}
