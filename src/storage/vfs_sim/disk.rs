//! What the simulated disk holds, what an operation does to it, and what of an uncertain operation a
//! crash may leave. Imports nothing of the crate.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// Bytes that a disk writes whole or not at all.
const SECTOR: usize = 512;

/// Identity of a file, whatever its names.
pub type FileNumber = usize;

#[derive(Clone, Debug)]
pub enum Effect {
    None,
    Name {
        name: String,
        file: FileNumber,
    },
    Move {
        from: String,
        to: String,
        file: FileNumber,
    },
    Unname {
        name: String,
    },
    Empty {
        file: FileNumber,
    },
    Data {
        file: FileNumber,
        offset: usize,
        bytes: Arc<[u8]>,
    },
    /// Makes certain (`honest`), or uncertain for ever, what came before: the bytes of a file, or the
    /// names of the directory.
    Barrier {
        file: Option<FileNumber>,
        honest: bool,
    },
}

/// For each effect, whether it survives any crash after the last of them.
pub fn certain<'a>(effects: impl Iterator<Item = &'a Effect>) -> Vec<bool> {
    let mut certain = Vec::new();
    let mut waiting: BTreeMap<Option<FileNumber>, Vec<usize>> = BTreeMap::new();
    for (number, effect) in effects.enumerate() {
        certain.push(false);
        let subject = match effect {
            Effect::Barrier { file, honest } => {
                let settled = waiting.remove(file).unwrap_or_default();
                settled.into_iter().for_each(|s| certain[s] = *honest);
                continue;
            }
            Effect::Empty { file } | Effect::Data { file, .. } => Some(*file),
            _ => None,
        };
        waiting.entry(subject).or_default().push(number);
    }
    certain
}

#[derive(Clone, Default)]
pub struct Disk {
    pub files: Vec<Vec<u8>>,
    pub names: BTreeMap<String, FileNumber>,
}

impl Disk {
    pub fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::None | Effect::Barrier { .. } => (),
            Effect::Name { name, file } => {
                self.file(*file);
                self.names.insert(name.clone(), *file);
            }
            Effect::Move { from, to, file } => {
                self.file(*file);
                self.names.remove(from);
                self.names.insert(to.clone(), *file);
            }
            Effect::Unname { name } => {
                self.names.remove(name);
            }
            Effect::Empty { file } => self.file(*file).clear(),
            Effect::Data {
                file,
                offset,
                bytes,
            } => overwrite(self.file(*file), *offset, bytes),
        }
    }

    /// Applies what a crash happens to leave of an uncertain effect; `torn` for the write that was
    /// under way.
    pub fn apply_part(&mut self, effect: &Effect, torn: bool, random: &mut SplitMix64) {
        match effect {
            Effect::Data {
                file,
                offset,
                bytes,
            } => write_part(self.file(*file), *offset, bytes, torn, random),
            _ if random.coin() => self.apply(effect),
            _ => (),
        }
    }

    pub fn file(&mut self, number: FileNumber) -> &mut Vec<u8> {
        let length = self.files.len().max(number + 1);
        self.files.resize_with(length, Vec::new);
        &mut self.files[number]
    }

    pub fn content(&self, name: &str) -> io::Result<&[u8]> {
        match self.names.get(name) {
            Some(file) => Ok(&self.files[*file]),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn overwrite(data: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    data.resize(data.len().max(end), 0);
    data[offset..end].copy_from_slice(bytes);
}

/// Some sectors of a write; the first bytes only when it is torn. The length may have grown to its
/// end before the bytes came.
fn write_part(
    data: &mut Vec<u8>,
    offset: usize,
    bytes: &[u8],
    torn: bool,
    random: &mut SplitMix64,
) {
    if random.coin() {
        grow(data, offset + bytes.len(), random);
    }
    let arrived = match torn {
        true => random.below(bytes.len() + 1),
        false => bytes.len(),
    };
    let mut start = 0;
    while start < arrived {
        let sector_end = (offset + start) / SECTOR * SECTOR + SECTOR - offset;
        let end = sector_end.min(arrived);
        if torn || random.coin() {
            grow(data, offset + start, random);
            overwrite(data, offset + start, &bytes[start..end]);
        }
        start = end;
    }
}

/// Makes `data` at least `length` long, with zeros or with what the disk held there before.
fn grow(data: &mut Vec<u8>, length: usize, random: &mut SplitMix64) {
    let garbage = random.coin();
    while data.len() < length {
        data.push(if garbage { random.next() as u8 } else { 0 });
    }
}

pub struct SplitMix64(pub u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}
