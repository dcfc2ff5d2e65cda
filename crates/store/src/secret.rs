//! Sealing of secrets: each value has a key of its own, and the master key seals that key.
//!
//! Whoever has only the database has nothing; whoever swaps two rows or columns is refused, since
//! each sealed text is bound to its place. Never in an error or a log line: keys and values.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest;
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox, SecretString};

use crate::error::StoreError;
use crate::settings::Settings;

const KEY_LEN: usize = 32;

/// A row of `secrets`. Both sealed texts are nonce, ciphertext, tag.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) key_id: String,
    pub(crate) data_key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// Seals and opens with the master key.
#[derive(Debug)]
pub(crate) struct Sealer {
    master: SecretBox<[u8; KEY_LEN]>,
    key_id: String,
}

type Result<T> = std::result::Result<T, StoreError>;

impl Sealer {
    /// Reads the master key. Makes one in the data directory if none is set, none is there, and
    /// nothing is sealed yet.
    pub(crate) fn open(settings: &Settings, may_make: bool) -> Result<Self> {
        let own = settings.dir.join("secret.key");
        let path = settings.key_file.as_deref().unwrap_or(&own);
        let unusable = |why: String| StoreError::Files { path: path.to_owned(), why };
        let key = match read_key(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && settings.key_file.is_none() => {
                if !may_make {
                    let why = "the master key is not there, and what is sealed needs it: put it \
                               back, or name its file by ALDIS_SECRET_KEY_FILE";
                    return Err(unusable(why.to_owned()));
                }
                make_key(path)
            }
            other => other,
        };
        let master = key.map_err(|e| unusable(e.to_string()))?;
        let id = digest::digest(&digest::SHA256, &[b"aldis key id", &master[..]].concat());
        let key_id = id.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { master: SecretBox::new(Box::new(*master)), key_id })
    }

    pub(crate) fn seal(&self, name: &str, value: &[u8]) -> Result<Sealed> {
        let failed = || refuse(name, "the random generator failed");
        let mut data_key = Zeroizing::new([0; KEY_LEN]);
        rand::fill(&mut data_key[..]).map_err(|_| failed())?;
        let value = seal(&data_key, &self.place(name, "value"), value).ok_or_else(failed)?;
        let place = self.place(name, "data_key");
        let data_key =
            seal(self.master.expose_secret(), &place, &data_key[..]).ok_or_else(failed)?;
        Ok(Sealed { key_id: self.key_id.clone(), data_key, value })
    }

    pub(crate) fn open_sealed(&self, name: &str, mut sealed: Sealed) -> Result<SecretString> {
        if sealed.key_id != self.key_id {
            let why = format!(
                "it needs the master key {}, but this is {}: ALDIS_SECRET_KEY_FILE should name the \
                 file of the former",
                sealed.key_id, self.key_id
            );
            return Err(refuse(name, &why));
        }
        let changed = || refuse(name, "the database row was changed");
        let place = self.place(name, "data_key");
        let opened = open(self.master.expose_secret(), &place, &mut sealed.data_key);
        let data_key = Zeroizing::new(opened.ok_or_else(changed)?.to_vec());
        let data_key = data_key[..].try_into().map_err(|_| changed())?;
        let value = open(data_key, &self.place(name, "value"), &mut sealed.value);
        let value = Zeroizing::new(value.ok_or_else(changed)?.to_vec());
        let text = std::str::from_utf8(&value).map_err(|_| changed())?;
        Ok(SecretString::from(text))
    }

    /// What a sealed text is bound to.
    fn place(&self, name: &str, column: &str) -> Vec<u8> {
        format!("secrets|{name}|{column}|{}", self.key_id).into_bytes()
    }
}

fn refuse(name: &str, why: &str) -> StoreError {
    StoreError::Sealed { name: name.to_owned(), why: why.to_owned() }
}

fn seal(key: &[u8; KEY_LEN], place: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
    let mut sealed = text.to_vec();
    let nonce = key.seal_in_place_append_tag(Aad::from(place), &mut sealed).ok()?;
    Some([&nonce.as_ref()[..], &sealed].concat())
}

fn open<'a>(key: &[u8; KEY_LEN], place: &[u8], sealed: &'a mut [u8]) -> Option<&'a [u8]> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
    let (nonce, text) = sealed.split_at_mut_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    key.open_in_place(nonce, Aad::from(place), text).ok().map(|text| &*text)
}

fn read_key(path: &Path) -> io::Result<Zeroizing<[u8; KEY_LEN]>> {
    let mut file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(io::Error::other(format!(
            "others may read this key file (mode {:o}): chmod 600",
            mode & 0o777
        )));
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text)?;
    let bytes = Zeroizing::new(STANDARD.decode(text.trim()).unwrap_or_default());
    let key = <[u8; KEY_LEN]>::try_from(&bytes[..])
        .map_err(|_| io::Error::other("this is no key file: it must hold 32 bytes in base 64"))?;
    Ok(Zeroizing::new(key))
}

fn make_key(path: &Path) -> io::Result<Zeroizing<[u8; KEY_LEN]>> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    rand::fill(&mut key[..]).map_err(|_| io::Error::other("the random generator failed"))?;
    let text = Zeroizing::new(STANDARD.encode(&key[..]));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).inspect_err(|_| {
        // Half a key must not be taken for one at the next start.
        let _ = fs::remove_file(path);
    })?;
    Ok(key)
}
