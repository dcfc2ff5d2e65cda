//! The file that `aldis export` writes and `aldis import` reads: a line of JSON each. The first
//! says what the file is, then comes one row of a table a line, and the last has the SHA-256 of
//! all lines before it, so that a torn file or a flipped byte is found.
//!
//! Never here: a word of a line in an error; rows hold what people wrote and what is sealed.

use std::io::{self, BufRead, Read, Write};

use aldis_store::{Outline, Record};
use anyhow::{Context as _, Result, bail};
use aws_lc_rs::digest::{Context as Digest, SHA256};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::log::hex;

const FORMAT: u32 = 1;
/// Bytes of a line, at most. The longest are webhooks of 25 MiB that do not compress, in base 64.
const LONGEST_LINE: u64 = 64 << 20;
/// What is read at once: so many rows, or fewer when they are long. In bytes of their lines.
const BATCH_ROWS: usize = 1024;
const BATCH_BYTES: usize = 4 << 20;

#[derive(Serialize, Deserialize)]
struct Header {
    #[serde(flatten)]
    format: Format,
    /// The version of the program.
    aldis: String,
    at: Timestamp,
    #[serde(flatten)]
    outline: Outline,
}

#[derive(Serialize, Deserialize)]
struct Format {
    aldis_export: u32,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Trailer {
    rows: u64,
    sha256: String,
}

/// Writes an export line by line.
pub(super) struct Writer<W> {
    out: W,
    line: Vec<u8>,
    digest: Digest,
    rows: u64,
}

impl<W: Write> Writer<W> {
    pub(super) fn begin(out: W, outline: &Outline) -> io::Result<Self> {
        let mut this = Self { out, line: Vec::new(), digest: Digest::new(&SHA256), rows: 0 };
        this.line(&Header {
            format: Format { aldis_export: FORMAT },
            aldis: env!("CARGO_PKG_VERSION").to_owned(),
            at: Timestamp::now(),
            outline: outline.clone(),
        })?;
        Ok(this)
    }

    pub(super) fn row(&mut self, record: &Record) -> io::Result<()> {
        self.rows += 1;
        self.line(record)
    }

    /// Without it the file is torn.
    pub(super) fn end(mut self) -> io::Result<W> {
        let sha256 = hex(self.digest.clone().finish().as_ref());
        self.line(&Trailer { rows: self.rows, sha256 })?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn line(&mut self, content: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, content)?;
        self.line.push(b'\n');
        self.digest.update(&self.line);
        self.out.write_all(&self.line)
    }
}

/// Reads an export, and tells whether it is whole.
pub(super) struct Reader<R> {
    input: R,
    line: Vec<u8>,
    /// Of that line, from 1.
    number: u64,
    digest: Digest,
    outline: Outline,
    ended: bool,
}

impl<R: BufRead> Reader<R> {
    /// Refuses what is no export, or one of a newer Aldis.
    pub(super) fn open(mut input: R) -> Result<Self> {
        let mut line = Vec::new();
        let foreign = "it was not written by `aldis export`";
        read_line(&mut input, &mut line).context(foreign)?;
        let Format { aldis_export: format } =
            serde_json::from_slice(&line).ok().context(foreign)?;
        if format != FORMAT {
            bail!(
                "it has format {format} and this Aldis reads format {FORMAT}: \
                 import it with the Aldis that wrote it"
            );
        }
        let Header { outline, .. } = parsed(&line, 1)?;
        let mut digest = Digest::new(&SHA256);
        digest.update(&line);
        Ok(Self { input, line, number: 1, digest, outline, ended: false })
    }

    pub(super) fn outline(&self) -> &Outline {
        &self.outline
    }

    /// The next rows; none when that was all and the file is whole.
    pub(super) fn batch(&mut self) -> Result<Vec<Record>> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH_ROWS && bytes < BATCH_BYTES {
            let Some(record) = self.row()? else { break };
            bytes += self.line.len();
            batch.push(record);
        }
        Ok(batch)
    }
    fn row(&mut self) -> Result<Option<Record>> {
        if self.ended {
            return Ok(None);
        }
        read_line(&mut self.input, &mut self.line)?;
        self.number += 1;
        if self.line.starts_with(b"{") {
            self.end()?;
            return Ok(None);
        }
        self.digest.update(&self.line);
        parsed(&self.line, self.number).map(Some)
    }

    fn end(&mut self) -> Result<()> {
        let told: Trailer = parsed(&self.line, self.number)?;
        let sha256 = hex(self.digest.clone().finish().as_ref());
        // The first line and this one are no rows.
        if told != (Trailer { rows: self.number - 2, sha256 }) {
            bail!("it was changed since it was written: its SHA-256 is another one");
        }
        if !self.input.fill_buf()?.is_empty() {
            bail!("there is something behind its end");
        }
        self.ended = true;
        Ok(())
    }
}

fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> Result<()> {
    line.clear();
    input.take(LONGEST_LINE).read_until(b'\n', line)?;
    if !line.ends_with(b"\n") {
        bail!("it is torn: it ends in the middle");
    }
    Ok(())
}

fn parsed<T: DeserializeOwned>(line: &[u8], number: u64) -> Result<T> {
    let parsed = serde_json::from_slice(line).ok();
    parsed.with_context(|| format!("line {number} of it cannot be read: it was changed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline() -> Outline {
        let head = serde_json::json!({ "position": 0, "hash": "00".repeat(32) });
        let outline = serde_json::json!({
            "engine": "sqlite", "head": head, "epoch": 7, "rows": { "instances": 2 },
        });
        serde_json::from_value(outline).unwrap()
    }

    fn rows() -> Vec<Record> {
        let rows = [r#"["instances",1,"https://a.example"]"#, r#"["people",1,7,"Zo\u00eb",null]"#];
        rows.map(|row| serde_json::from_str(row).unwrap()).into()
    }

    fn written() -> Vec<u8> {
        let mut archive = Writer::begin(Vec::new(), &outline()).unwrap();
        for row in rows() {
            archive.row(&row).unwrap();
        }
        archive.end().unwrap()
    }

    fn read(file: &[u8]) -> Result<(Outline, Vec<Record>)> {
        let mut reader = Reader::open(file)?;
        let mut rows = Vec::new();
        loop {
            match reader.batch()? {
                batch if batch.is_empty() => return Ok((reader.outline().clone(), rows)),
                batch => rows.extend(batch),
            }
        }
    }

    fn refused(file: &[u8]) -> String {
        read(file).unwrap_err().to_string()
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(read(&written()).unwrap(), (outline(), rows()));
    }

    #[test]
    fn wherever_it_is_cut_it_is_refused() {
        let whole = written();
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "{length} of {}", whole.len());
        }
        let ended = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        assert_eq!(refused(&whole[..ended]), "it is torn: it ends in the middle");
        let more = [whole.as_slice(), b"\n"].concat();
        assert_eq!(refused(&more), "there is something behind its end");
    }

    #[test]
    fn whichever_bit_is_flipped_it_is_refused() {
        let mut file = written();
        for place in 0..file.len() {
            for bit in 0..8 {
                file[place] ^= 1 << bit;
                assert!(read(&file).is_err(), "bit {bit} of byte {place}");
                file[place] ^= 1 << bit;
            }
        }
        let text = String::from_utf8(file).unwrap();
        let changed = "it was changed since it was written: its SHA-256 is another one";
        assert_eq!(refused(text.replace("a.example", "b.example").as_bytes()), changed);
        let row = "[\"people\",1,7,\"Zoë\",null]\n";
        assert_eq!(refused(text.replace(row, "").as_bytes()), changed);
        let unreadable = "line 3 of it cannot be read: it was changed";
        assert_eq!(refused(text.replace(",null]", "]").as_bytes()), unreadable);
    }

    #[test]
    fn what_is_no_export_or_a_later_one_is_told_apart() {
        for foreign in ["", "\n", "{}\n", "SQLite format 3\0", "[]\n"] {
            assert_eq!(refused(foreign.as_bytes()), "it was not written by `aldis export`");
        }
        let later = String::from_utf8(written()).unwrap();
        let later = later.replace(r#""aldis_export":1"#, r#""aldis_export":2"#);
        let told = "it has format 2 and this Aldis reads format 1: \
                    import it with the Aldis that wrote it";
        assert_eq!(refused(later.as_bytes()), told);
    }
}
