//! Git's protocol, version 2, as far as a fetch of known commits needs it. Pure: bytes in, bytes out.
//!
//! Source: `gitprotocol-v2(5)` and `gitprotocol-common(5)` of git.

/// Longest packet, its length included (`LARGE_PACKET_MAX` in git's `pkt-line.h`).
const LONGEST: usize = 65_520;
const FLUSH: &str = "0000";
const DELIMITER: &str = "0001";

/// Why an answer is no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Odd {
    /// In the server's words.
    #[error("the server says: {0}")]
    Refused(String),
    #[error("the answer is not in git's protocol")]
    Garbled,
    #[error("the answer ends too early")]
    Cut,
}

/// A request for commits by a side that has others with all of their history.
pub(crate) fn request(wanted: &[&str], have: &[String]) -> String {
    let format = if wanted.first().is_some_and(|sha| sha.len() == 64) { "sha256" } else { "sha1" };
    let mut request = packet("command=fetch");
    request += &packet(concat!("agent=aldis/", env!("CARGO_PKG_VERSION")));
    request += &packet(&format!("object-format={format}"));
    request += DELIMITER;
    for capability in ["thin-pack", "no-progress", "ofs-delta"] {
        request += &packet(capability);
    }
    request.extend(wanted.iter().map(|sha| packet(&format!("want {sha}"))));
    request.extend(have.iter().map(|sha| packet(&format!("have {sha}"))));
    request + &packet("done") + FLUSH
}

fn packet(line: &str) -> String {
    format!("{:04x}{line}\n", line.len() + 5)
}

/// An answer to [`request`], as far as it has come.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The beginning of a packet.
    rest: Vec<u8>,
    is_pack: bool,
    is_over: bool,
}

impl Answer {
    /// Takes the next bytes; adds what they hold of the pack.
    pub(crate) fn take(&mut self, bytes: &[u8], pack: &mut Vec<u8>) -> Result<(), Odd> {
        self.rest.extend_from_slice(bytes);
        let mut at = 0;
        while !self.is_over
            && let Some(length) = self.rest.get(at..at + 4)
        {
            let length = std::str::from_utf8(length).ok();
            let length = length.and_then(|hex| usize::from_str_radix(hex, 16).ok());
            match length.ok_or(Odd::Garbled)? {
                // Between sections, or at the end.
                0..=2 => {
                    self.is_over = self.is_pack;
                    at += 4;
                }
                length @ 4..=LONGEST => {
                    let Some(line) = self.rest.get(at + 4..at + length) else { break };
                    Self::line(&mut self.is_pack, line, pack)?;
                    at += length;
                }
                _ => return Err(Odd::Garbled),
            }
        }
        self.rest.drain(..at);
        Ok(())
    }

    fn line(is_pack: &mut bool, line: &[u8], pack: &mut Vec<u8>) -> Result<(), Odd> {
        let words = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            text.trim().chars().filter(|c| !c.is_control()).take(300).collect()
        };
        if !*is_pack {
            if let Some(error) = line.strip_prefix(b"ERR ") {
                return Err(Odd::Refused(words(error)));
            }
            // Sections that were not asked for are passed over.
            *is_pack = line.strip_suffix(b"\n").unwrap_or(line) == b"packfile";
            return Ok(());
        }
        match line.split_first() {
            Some((1, bytes)) => pack.extend_from_slice(bytes),
            // Progress.
            Some((2, _)) => {}
            Some((3, error)) => return Err(Odd::Refused(words(error))),
            _ => return Err(Odd::Garbled),
        }
        Ok(())
    }

    /// To be asked when no more bytes come.
    pub(crate) fn end(&self) -> Result<(), Odd> {
        if self.is_over { Ok(()) } else { Err(Odd::Cut) }
    }
}

/// Number of objects in a pack, when its header has come (`gitformat-pack(5)`).
pub(crate) fn objects(pack: &[u8]) -> Option<u32> {
    let count = pack.strip_prefix(b"PACK")?.get(4..8)?;
    Some(u32::from_be_bytes(count.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn band(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut packet = format!("{:04x}", bytes.len() + 5).into_bytes();
        packet.push(number);
        packet.extend_from_slice(bytes);
        packet
    }

    fn read(answer: &[u8], at_once: usize) -> Result<Vec<u8>, Odd> {
        let (mut pack, mut reader) = (Vec::new(), Answer::default());
        for bytes in answer.chunks(at_once) {
            reader.take(bytes, &mut pack)?;
        }
        reader.end().map(|()| pack)
    }

    #[test]
    fn a_request_names_what_is_wanted_and_what_is_there() {
        let request = request(&["aa", "bb"], &["cc".to_owned()]);
        let agent = packet(concat!("agent=aldis/", env!("CARGO_PKG_VERSION")));
        insta::assert_snapshot!(request.replace(&agent, "AGENT\n"), @r"
        0012command=fetch
        AGENT
        0017object-format=sha1
        0001000ethin-pack
        0010no-progress
        000eofs-delta
        000cwant aa
        000cwant bb
        000chave cc
        0009done
        0000
        ");
    }

    #[test]
    fn a_pack_is_found_however_the_bytes_come() {
        let parts = [
            b"000dpackfile\n".to_vec(),
            band(1, b"PACK\0\0\0\x02\0\0\0\x03ab"),
            band(2, b"counting"),
            band(1, b"cd"),
            b"0000".to_vec(),
        ];
        let answer = parts.concat();
        for at_once in 1..=answer.len() {
            let pack = read(&answer, at_once).expect("it is whole");
            assert_eq!((&pack[12..], objects(&pack)), (b"abcd".as_slice(), Some(3)));
        }
        for end in 0..answer.len() {
            assert_eq!(read(&answer[..end], 7), Err(Odd::Cut), "cut at {end}");
        }
    }

    #[test]
    fn refusals_and_nonsense_are_told_apart() {
        let refused = |text: &str| Err(Odd::Refused(text.to_owned()));
        let error = "ERR upload-pack: not our ref 12\n";
        let error = format!("{:04x}{error}", error.len() + 4);
        assert_eq!(read(error.as_bytes(), 5), refused("upload-pack: not our ref 12"));
        let late = [b"000dpackfile\n".to_vec(), band(3, b"out of memory\n")].concat();
        assert_eq!(read(&late, 5), refused("out of memory"));
        let strange = [b"000dpackfile\n".to_vec(), band(4, b"?")].concat();
        for garbled in [&b"<html>"[..], b"0003", b"fff1", &strange] {
            assert_eq!(read(garbled, 3), Err(Odd::Garbled));
        }
        assert_eq!(objects(b"PACK\0\0\0\x02\0\0\0"), None);
    }
}
