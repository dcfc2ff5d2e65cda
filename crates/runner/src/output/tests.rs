use std::sync::Mutex;

use aldis_protocol::{
    Announced, Assignment, ClaimRequest, Directive, DispatchError, Finish, LogChunk,
};

use super::*;

/// Takes log chunks, some of them only at the second try.
#[derive(Clone, Default)]
struct Taker {
    chunks: Arc<Mutex<Vec<LogChunk>>>,
    refusals: Arc<Mutex<u32>>,
    answer: Option<DispatchError>,
}

impl Dispatcher for Taker {
    async fn announced(&self, _: Option<i64>) -> Announced {
        std::future::pending().await
    }
    async fn claim(&self, _: ClaimRequest) -> Result<Option<Assignment>, DispatchError> {
        Ok(None)
    }
    async fn heartbeat(&self, _: &Ticket) -> Result<Directive, DispatchError> {
        Ok(Directive::Go)
    }
    async fn canceled(&self, _: &Ticket) {
        std::future::pending::<()>().await;
    }
    async fn log(&self, chunk: LogChunk) -> Result<(), DispatchError> {
        if let Some(error) = &self.answer {
            return Err(error.clone());
        }
        let mut refusals = self.refusals.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            return Err(DispatchError::Unavailable("not now".to_owned()));
        }
        self.chunks.lock().unwrap().push(chunk);
        Ok(())
    }
    async fn hand_back(&self, _: &Ticket) -> Result<(), DispatchError> {
        Ok(())
    }
    async fn finish(&self, _: Finish) -> Result<(), DispatchError> {
        Ok(())
    }
}

fn ticket() -> Ticket {
    Ticket { run: aldis_domain::id::RunId::from_digest(&[1; 32]), epoch: 1 }
}

fn start(taker: &Taker, keep: usize) -> Log {
    let patterns = Patterns::new("u", ["glpat-secret-value"]);
    Log::start(taker.clone(), ticket(), patterns, keep, Arc::default())
}

fn text(taker: &Taker) -> String {
    let chunks = taker.chunks.lock().unwrap();
    for (seq, chunk) in chunks.iter().enumerate() {
        assert_eq!(chunk.seq, seq as u64);
        assert!(chunk.bytes.len() <= 64 << 10);
    }
    chunks.iter().map(|c| String::from_utf8_lossy(&c.bytes).into_owned()).collect()
}

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn steps_keep_their_bytes_apart_and_secrets_stay_home() {
    let taker = Taker::default();
    let mut log = start(&taker, 1 << 20);
    log.line(0, "$ one");
    log.write(0, b"token glpat-se");
    log.write(0, b"cret-value end, glpat-");
    log.line(1, "$ two");
    let closed = log.close(PATIENCE).await;
    assert_eq!(closed.remark, None);
    insta::assert_snapshot!(closed.tail, @r"
    $ one
    token [masked] end, glpat-
    $ two
    ");
    let chunks = taker.chunks.lock().unwrap();
    let steps: Vec<u32> = chunks.iter().map(|chunk| chunk.step).collect();
    assert_eq!(steps, [0, 1]);
}

#[tokio::test]
async fn too_much_output_keeps_its_head_and_its_end() {
    let taker = Taker::default();
    let mut log = start(&taker, 400 << 10);
    let mut printed = 0_u64;
    log.write(0, b"the head\n");
    for _ in 0..200 {
        let block = "0123456789abcde\n".repeat(4096);
        printed += block.len() as u64;
        log.write(0, block.as_bytes());
    }
    log.write(0, b"a glpat-secret-value at the end\n");
    let closed = log.close(PATIENCE).await;
    let text = text(&taker);
    assert!(text.len() <= 401 << 10, "{}", text.len());
    assert!(text.starts_with("the head\n") && text.ends_with("a [masked] at the end\n"));
    assert!(closed.tail.ends_with("a [masked] at the end"));
    let left_out: u64 = closed.remark.unwrap().split(' ').next().unwrap().parse().unwrap();
    let notice = format!("\n[{left_out} bytes of output are left out here]\n");
    assert!(text.contains(&notice));
    let shown = (text.len() - notice.len()) as u64 - 9 - "a [masked] at the end\n".len() as u64;
    assert_eq!(shown + left_out, printed);
}

#[tokio::test]
async fn an_output_just_over_the_live_part_loses_nothing() {
    let taker = Taker::default();
    let mut log = start(&taker, 1000);
    let all = "abcdefghi\n".repeat(95);
    for piece in all.as_bytes().chunks(7) {
        log.write(0, piece);
    }
    assert_eq!(log.close(PATIENCE).await.remark, None);
    assert_eq!(text(&taker), all);
}

#[tokio::test]
async fn a_queue_that_stutters_gets_everything_once() {
    let taker = Taker { refusals: Arc::new(Mutex::new(2)), ..Taker::default() };
    let mut log = start(&taker, 1 << 20);
    log.write(0, b"hello\n");
    assert_eq!(log.close(PATIENCE).await.remark, None);
    assert_eq!(text(&taker), "hello\n");
}

#[tokio::test]
async fn a_stale_answer_rings_the_bell() {
    let taker = Taker { answer: Some(DispatchError::Stale), ..Taker::default() };
    let bell = Arc::new(Notify::new());
    let mut log = Log::start(taker, ticket(), Patterns::default(), 1000, Arc::clone(&bell));
    log.write(0, b"hello\n");
    tokio::time::timeout(PATIENCE, bell.notified()).await.unwrap();
}

#[tokio::test]
async fn first_bytes_are_seen_while_the_step_runs() {
    let taker = Taker::default();
    let mut log = start(&taker, 1000);
    log.write(0, b"working\n");
    let seen = async {
        while taker.chunks.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.unwrap();
    log.close(PATIENCE).await;
}
