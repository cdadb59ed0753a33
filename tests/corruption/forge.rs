//! Makes and mends the bytes of an index as FORMAT.md says, without the library's own writer: damage
//! whose checksums are right gets past `open`.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use weft::storage::vfs_sim::SimVfs;

const HEADER: usize = 64;
const ENTRY: usize = 32;
const FOOTER: usize = 64;
const BLOCK: usize = 64 << 10;

/// All files of a directory.
#[derive(Clone)]
pub struct Files(pub BTreeMap<String, Vec<u8>>);

/// The parts of a section file, where it is undamaged.
#[derive(Clone, Copy)]
pub struct Layout {
    pub body: usize,
    pub table_end: usize,
    pub footer: usize,
}

pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

pub fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

pub fn values<const N: usize, T>(list: &[T], bytes: impl Fn(&T) -> [u8; N]) -> Vec<u8> {
    list.iter().flat_map(bytes).collect()
}

pub fn u32s(list: &[u32]) -> Vec<u8> {
    values(list, |value| value.to_le_bytes())
}

fn crc(parts: &[&[u8]]) -> u32 {
    parts
        .iter()
        .fold(0, |crc, part| crc32c::crc32c_append(crc, part))
}

impl Layout {
    pub fn of(bytes: &[u8]) -> Self {
        let footer = bytes.len() - FOOTER;
        let body = u64_at(bytes, footer) as usize;
        let sections = u32_at(bytes, footer + 8) as usize;
        Self {
            body,
            table_end: body + sections * ENTRY,
            footer,
        }
    }

    /// Makes all checksums of a file right.
    pub fn seal(self, name: &str, bytes: &mut [u8]) {
        let index: [u8; 16] = bytes[16..32].try_into().unwrap();
        for number in 0..self.body.div_ceil(BLOCK) {
            let block = &bytes[number * BLOCK..self.body.min((number + 1) * BLOCK)];
            let part = (number as u64).to_le_bytes();
            let crc = crc(&[&index, name.as_bytes(), &part, block]);
            put(bytes, self.table_end + 4 * number, &crc.to_le_bytes());
        }
        self.seal_tail(name, bytes);
    }

    /// Makes the checksum of table and footer right.
    pub fn seal_tail(self, name: &str, bytes: &mut [u8]) {
        let index: [u8; 16] = bytes[16..32].try_into().unwrap();
        let part = u64::MAX.to_le_bytes();
        let covered = &bytes[self.body..self.footer + 52];
        let crc = crc(&[&index, name.as_bytes(), &part, covered]);
        put(bytes, self.footer + 52, &crc.to_le_bytes());
    }
}

/// Name and content of each section.
pub fn sections(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let layout = Layout::of(bytes);
    let entries = bytes[layout.body..layout.table_end].chunks(ENTRY);
    let section = |entry: &[u8]| {
        let name = entry[..16].iter().copied().take_while(|byte| *byte != 0);
        let (offset, length) = (u64_at(entry, 16) as usize, u64_at(entry, 24) as usize);
        let name = String::from_utf8(name.collect()).unwrap();
        (name, bytes[offset..offset + length].to_vec())
    };
    entries.map(section).collect()
}

/// A section file from its parts.
pub fn section_file(name: &str, index: &[u8], sections: &[(String, Vec<u8>)]) -> Vec<u8> {
    let kind = name.split('.').nth(1).unwrap().split('-').next().unwrap();
    let mut bytes = b"weft\r\n\x1a\n\x01\0\0\0\0\0\0\0".to_vec();
    bytes.extend_from_slice(index);
    bytes.extend_from_slice(kind.as_bytes());
    bytes.resize(HEADER, 0);
    let mut table = vec![];
    for (name, content) in sections {
        bytes.resize(bytes.len().next_multiple_of(64), 0);
        table.extend_from_slice(name.as_bytes());
        table.resize(table.len().next_multiple_of(ENTRY) - 16, 0);
        table.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        table.extend_from_slice(&(content.len() as u64).to_le_bytes());
        bytes.extend_from_slice(content);
    }
    bytes.resize(bytes.len().next_multiple_of(64), 0);
    let body = bytes.len();
    let blocks = body.div_ceil(BLOCK);
    bytes.extend_from_slice(&table);
    bytes.resize(bytes.len() + 4 * blocks, 0);
    bytes.extend_from_slice(&(body as u64).to_le_bytes());
    bytes.extend_from_slice(&(sections.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&(blocks as u32).to_le_bytes());
    bytes.extend_from_slice(&[0; 40]);
    bytes.extend_from_slice(b"weft-end");
    Layout::of(&bytes).seal(name, &mut bytes);
    bytes
}

/// `json`, which ends with a brace on its own line, as a manifest.
pub fn manifest_of_json(json: &[u8]) -> Vec<u8> {
    let body = json.strip_suffix(b"\n}").unwrap_or(json);
    let checksum = format!(",\n  \"checksum\": \"{:08x}\"\n}}\n", crc(&[body]));
    [body, checksum.as_bytes()].concat()
}

/// The JSON of a manifest without its checksum.
pub fn json_of_manifest(bytes: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).unwrap();
    let end = text.rfind(",\n  \"checksum\"").unwrap();
    [&bytes[..end], b"\n}"].concat()
}

impl Files {
    pub fn of(vfs: &SimVfs) -> Self {
        let names = vfs.names().into_iter();
        Self(
            names
                .map(|name| (name.clone(), vfs.get(&name).unwrap()))
                .collect(),
        )
    }

    pub fn vfs(&self) -> SimVfs {
        let vfs = SimVfs::new();
        self.0.iter().for_each(|(name, bytes)| vfs.set(name, bytes));
        vfs
    }

    pub fn bytes(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// The first name that starts and ends so.
    pub fn name(&self, start: &str, part: &str) -> String {
        let mut names = self.0.keys();
        let fits = |name: &&String| name.starts_with(start) && name.contains(part);
        names
            .find(fits)
            .unwrap_or_else(|| panic!("no {start}*{part}*"))
            .clone()
    }

    pub fn manifest_name(&self) -> String {
        self.name("manifest-", ".json")
    }

    /// Changes the manifest and makes its checksum right.
    pub fn edit_manifest(&mut self, edit: impl FnOnce(&mut Json)) {
        let manifest = self.0.get_mut(&self.manifest_name()).unwrap();
        let mut json: Json = serde_json::from_slice(&json_of_manifest(manifest)).unwrap();
        edit(&mut json);
        *manifest = manifest_of_json(&serde_json::to_vec_pretty(&json).unwrap());
    }

    /// Changes bytes of a section file and makes its checksums right for its old layout.
    pub fn edit(&mut self, kind: &str, edit: impl FnOnce(&mut Vec<u8>, Layout)) {
        let name = self.name("segment-", kind);
        let bytes = self.0.get_mut(&name).unwrap();
        let layout = Layout::of(bytes);
        edit(bytes, layout);
        layout.seal(&name, bytes);
    }

    /// Changes the content of a section; the file is made anew, and the manifest knows its length.
    pub fn edit_section(&mut self, kind: &str, section: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        self.edit_sections(kind, |sections| {
            let (_, content) = sections
                .iter_mut()
                .find(|(name, _)| name == section)
                .unwrap();
            edit(content);
        });
    }

    pub fn edit_sections(&mut self, kind: &str, edit: impl FnOnce(&mut Vec<(String, Vec<u8>)>)) {
        self.edit_sections_of("segment-", kind, edit);
    }

    pub fn edit_sections_of(
        &mut self,
        start: &str,
        kind: &str,
        edit: impl FnOnce(&mut Vec<(String, Vec<u8>)>),
    ) {
        let name = self.name(start, kind);
        let bytes = &self.0[&name];
        let mut sections = sections(bytes);
        edit(&mut sections);
        let forged = section_file(&name, &bytes[16..32], &sections);
        let length = forged.len();
        self.0.insert(name.clone(), forged);
        self.edit_manifest(|json| {
            let mut files = json["files"].as_array_mut().unwrap().iter_mut();
            files.find(|file| file["name"] == *name).unwrap()["length"] = length.into();
        });
    }
}
