//! The manifest: one JSON file per generation that names every file of it. A person can read it; its
//! last member is a checksum of all the bytes before. The part that only the index layer understands
//! is the type parameter `C`. Bytes: FORMAT.md, "Manifest".

use std::fmt;
use std::path::Path;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::FORMAT_VERSION;
use super::vfs::Vfs;
use crate::error::{Error, IoContext, Result};

/// Sixteen random bytes, the same in every file of an index.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IndexId(pub [u8; 16]);

impl IndexId {
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)
            .map_err(std::io::Error::other)
            .at("read random bytes for", Path::new("the index id"))?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for IndexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for IndexId {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IndexId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let value = u128::from_str_radix(&text, 16).map_err(D::Error::custom)?;
        let id = Self(value.to_be_bytes());
        if id.to_string() != text {
            return Err(D::Error::custom(
                "the index id is not 32 hexadecimal digits",
            ));
        }
        Ok(id)
    }
}

/// A file of a generation and its exact length in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    pub name: String,
    pub length: u64,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Manifest<C> {
    pub format: u32,
    pub index: IndexId,
    pub generation: u64,
    pub files: Vec<FileEntry>,
    pub content: C,
}

/// Name of the manifest while it is written.
pub const TEMPORARY: &str = "manifest.tmp";

pub fn name_of(generation: u64) -> String {
    format!("manifest-{generation}.json")
}

pub fn generation_of(name: &str) -> Option<u64> {
    let generation = name.strip_prefix("manifest-")?.strip_suffix(".json")?;
    let generation = generation.parse().ok()?;
    (name_of(generation) == name).then_some(generation)
}

/// The newest generation in the directory; `None` when there is no manifest or no directory.
pub fn latest(vfs: &dyn Vfs) -> Result<Option<u64>> {
    match vfs.list() {
        Ok(names) => Ok(names.iter().filter_map(|name| generation_of(name)).max()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at("list", &vfs.path("")),
    }
}

/// Reads the newest generation with `read`, and starts again when a writer has replaced it, and removed
/// files of it, meanwhile.
pub fn with_latest<T>(vfs: &dyn Vfs, read: impl Fn(u64) -> Result<T>) -> Result<T> {
    loop {
        let Some(generation) = latest(vfs)? else {
            let directory = vfs.path("");
            let message = format!("{}: no index here", directory.display());
            return Err(Error::NotFound(message));
        };
        match read(generation) {
            Err(error) if is_missing(&error) && latest(vfs)? != Some(generation) => {}
            done => return done,
        }
    }
}

fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}

pub fn read<C: DeserializeOwned>(vfs: &dyn Vfs, generation: u64) -> Result<Manifest<C>> {
    let name = name_of(generation);
    let path = vfs.path(&name);
    let bytes = vfs.read(&name).at("read", &path)?;
    let manifest: Manifest<C> = decode(&bytes, &path)?;
    if manifest.generation != generation {
        let detail = format!("holds generation {}", manifest.generation);
        return Err(Error::corrupt(&path, detail));
    }
    let strange = |file: &&FileEntry| !is_data_file(&file.name);
    match manifest.files.iter().find(strange) {
        Some(file) => Err(Error::corrupt(
            &path,
            format!("names the file {:?}", file.name),
        )),
        None => Ok(manifest),
    }
}

/// True for names that the index gives to its own data files.
pub fn is_data_file(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let known = name.starts_with("segment-") || name.starts_with("codebook-");
    known && name.chars().all(plain)
}

fn checksum_line(body: &[u8]) -> String {
    format!(",\n  \"checksum\": \"{:08x}\"\n}}\n", crc32c::crc32c(body))
}

/// What follows the last member before the checksum when there is no checksum.
const BODY_END: &str = "\n}";

pub fn encode<C: Serialize>(manifest: &Manifest<C>) -> Result<Vec<u8>> {
    let body = serde_json::to_vec_pretty(manifest)
        .map_err(std::io::Error::from)
        .at("encode", Path::new(&name_of(manifest.generation)))?;
    let body = body.strip_suffix(BODY_END.as_bytes()).unwrap_or(&body);
    Ok([body, checksum_line(body).as_bytes()].concat())
}

fn decode<C: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<Manifest<C>> {
    let line = checksum_line(&[]).len();
    let (body, stored) = bytes.split_at(bytes.len().saturating_sub(line));
    if checksum_line(body).as_bytes() != stored {
        return Err(Error::corrupt(path, "fails its checksum"));
    }
    let json = [body, BODY_END.as_bytes()].concat();
    check_version(&json, path)?;
    serde_json::from_slice(&json).map_err(|error| Error::corrupt(path, error.to_string()))
}

fn check_version(json: &[u8], path: &Path) -> Result<()> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    match serde_json::from_slice(json) {
        Ok(Version {
            format: 1..=FORMAT_VERSION,
        }) => Ok(()),
        Ok(Version { format: 0 }) => Err(Error::corrupt(path, "format 0 does not exist")),
        Ok(Version { format }) => Err(Error::FormatVersion {
            path: path.to_path_buf(),
            found: format,
            supported: FORMAT_VERSION,
        }),
        Err(error) => Err(Error::corrupt(path, error.to_string())),
    }
}
