//! Requests of plain HTTP/1.1 that are caught on their way, so that a test can strike at that very
//! moment. Called by the valve with everything that it carries; one that lies on a way on which no
//! HTTP is spoken never catches anything.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// When something is caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The server has not heard of the request.
    Asked,
    /// The server has answered, and who asked has not heard of it.
    Answered,
}

/// What is to be caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trap {
    pub moment: Moment,
    /// How the path of the request ends.
    pub path: &'static str,
    /// The status of the answer. Others are let through.
    pub status: u16,
}

/// Something that was caught. It goes on when this is dropped.
#[derive(Debug)]
pub struct Caught {
    lose: oneshot::Sender<()>,
}

impl Caught {
    /// It never arrives, and its connection ends.
    pub fn lose(self) {
        // A connection that was broken meanwhile has lost it already.
        let _ = self.lose.send(());
    }
}

/// The trap of a way, if one is set.
#[derive(Debug, Default)]
pub(crate) struct Traps(Mutex<Option<Set>>);

#[derive(Debug)]
struct Set {
    trap: Trap,
    tell: oneshot::Sender<Caught>,
}

/// The path of a connection's last request.
#[derive(Debug, Default)]
pub(crate) struct Asked(Mutex<Option<String>>);

/// Takes the trap away again.
struct WhileSet<'a>(&'a Traps);

impl Drop for WhileSet<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

impl Traps {
    /// Waits for the first one; whoever no longer waits catches nothing.
    pub(crate) async fn catch(&self, trap: Trap) -> Caught {
        let (tell, told) = oneshot::channel();
        *self.lock() = Some(Set { trap, tell });
        let _while_set = WhileSet(self);
        told.await.expect("a way has one trap at a time")
    }

    /// Looks at what is carried. If it is caught it returns only when that is decided: true means
    /// that it is lost.
    pub(crate) async fn hold(&self, asked: &Asked, moment: Moment, bytes: &[u8]) -> bool {
        match self.look(asked, moment, bytes) {
            Some(lost) => lost.await.is_ok(),
            None => false,
        }
    }

    fn look(&self, asked: &Asked, moment: Moment, bytes: &[u8]) -> Option<oneshot::Receiver<()>> {
        let mut last = asked.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Who asks waits for the answer before it asks again, so that each begins a piece.
        let status = match moment {
            Moment::Asked => {
                *last = Some(path(bytes)?);
                None
            }
            Moment::Answered => Some(status(bytes)?),
        };
        let mut set = self.lock();
        let wanted = |Set { trap, .. }: &mut Set| {
            trap.moment == moment
                && last.as_ref().is_some_and(|path| path.ends_with(trap.path))
                && status.is_none_or(|status| status == trap.status)
        };
        let Set { tell, .. } = set.take_if(wanted)?;
        let (lose, lost) = oneshot::channel();
        // Who waited may have gone: then it is dropped, and all goes on.
        let _ = tell.send(Caught { lose });
        Some(lost)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Set>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of a request that begins here; one to a proxy names the whole URL.
fn path(bytes: &[u8]) -> Option<String> {
    let line = bytes.split(|byte| *byte == b'\r').next()?;
    let (method, rest) = str::from_utf8(line).ok()?.split_once(' ')?;
    let target = rest.split(' ').next().filter(|_| METHODS.contains(&method))?;
    Some(target.split('?').next()?.to_owned())
}

/// Of an answer that begins here.
fn status(bytes: &[u8]) -> Option<u16> {
    str::from_utf8(bytes.strip_prefix(b"HTTP/1.1 ")?.get(..3)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_are_known_by_how_they_begin() {
        let path = |text: &str| path(text.as_bytes());
        assert_eq!(
            path("POST /api/log?seq=1 HTTP/1.1\r\nHost: a\r\n\r\n"),
            Some("/api/log".into())
        );
        let proxied = "GET http://gitlab.invalid/a.git/info/refs?b=c HTTP/1.1\r\n\r\n";
        assert_eq!(path(proxied), Some("http://gitlab.invalid/a.git/info/refs".into()));
        assert_eq!(path("AMQP\0\0\t\u{1}"), None);
        assert_eq!(path("the end of a POST /api/log"), None);
        assert_eq!(status(b"HTTP/1.1 204 No Content\r\n"), Some(204));
        assert_eq!(status(b"HTTP"), None);
    }
}
