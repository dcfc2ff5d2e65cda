//! Certificates of an authority that nobody trusts.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::process::{User, find, must};

/// An authority, and what it gave to a server at 127.0.0.1.
#[derive(Debug)]
pub(crate) struct Certificates {
    dir: TempDir,
}

impl Certificates {
    /// Makes both anew; the server's key is `user`'s.
    pub(crate) fn make(user: User) -> Self {
        let program = find("openssl", []).expect(
            "OpenSSL is not installed: on Debian, `apt-get install openssl`; `cargo xtask test` \
             does it as root",
        );
        let dir = tempfile::Builder::new().prefix("aldis-certificates-").tempdir();
        let this = Self { dir: dir.expect("the temporary directory can be written to") };
        let extensions = this.file("extensions");
        std::fs::write(&extensions, "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
            .expect("the directory is ours");
        let openssl = |words: &str| {
            let mut command = std::process::Command::new(&program);
            must(command.args(words.split(' ')).current_dir(this.dir.path()));
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(&format!(
            "req -x509 {key} -days 2 -subj /CN=authority -keyout authority.key -out authority.pem"
        ));
        openssl(&format!("req {key} -subj /CN=server -keyout server.key -out server.csr"));
        openssl(
            "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial \
             -days 2 -extfile extensions -out server.pem",
        );
        for file in ["", "authority.pem", "server.pem", "server.key"] {
            user.owns(&this.file(file));
        }
        this
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.file("authority.pem")
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.file("server.pem")
    }

    /// Readable by its owner only.
    pub(crate) fn key(&self) -> PathBuf {
        self.file("server.key")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}
