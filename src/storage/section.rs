//! A file of named sections: header, sections aligned to 64 bytes, section table, one CRC32C for each
//! 64 KiB block, footer. A file is written once, front to back, and synced; reading maps it and checks
//! header, table and footer; block checksums are compared by `verify`. Bytes: FORMAT.md, "Section files".

use std::io::Write;
use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytemuck::{AnyBitPattern, NoUninit, Pod, Zeroable};

use super::FORMAT_VERSION;
use super::MAX_FILE_LENGTH;
use super::manifest::{FileEntry, IndexId};
use super::mmap::Mapping;
use super::vfs::{Vfs, VfsFile};
use crate::error::{Error, IoContext, Result};

const HEADER_MAGIC: [u8; 8] = *b"weft\r\n\x1a\n";
const FOOTER_MAGIC: [u8; 8] = *b"weft-end";
const BLOCK: usize = 64 << 10;
const ALIGNMENT: u64 = 64;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Header {
    magic: [u8; 8],
    version: u32,
    reserved: u32,
    index: [u8; 16],
    kind: [u8; 16],
    reserved_tail: [u8; 16],
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct TableEntry {
    name: [u8; 16],
    offset: u64,
    length: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Footer {
    table_offset: u64,
    sections: u32,
    blocks: u32,
    reserved: [u8; 36],
    crc: u32,
    magic: [u8; 8],
}

const HEADER: usize = size_of::<Header>();
const ENTRY: usize = size_of::<TableEntry>();
const FOOTER: usize = size_of::<Footer>();
/// Bytes of the footer that its checksum covers.
const FOOTER_COVERED: usize = 52;

/// A short ASCII name in a fixed field, padded with zeros.
fn tag(name: &str) -> [u8; 16] {
    debug_assert!(name.len() <= 16 && name.is_ascii());
    let mut field = [0; 16];
    field.iter_mut().zip(name.bytes()).for_each(|(f, b)| *f = b);
    field
}

/// What follows the dot in a file's name, up to a dash: `segment-7.deleted-12` holds `deleted`.
fn kind_of(name: &str) -> &str {
    let suffix = name.split_once('.').map_or("", |(_, suffix)| suffix);
    suffix.split('-').next().unwrap_or("")
}

/// Start value of the checksum of one part of one file, so that a block at the wrong place, in the
/// wrong file or of another index does not pass.
fn seed(index: &IndexId, name: &str, part: u64) -> u32 {
    let crc = crc32c::crc32c(&index.0);
    let crc = crc32c::crc32c_append(crc, name.as_bytes());
    crc32c::crc32c_append(crc, &part.to_le_bytes())
}

/// Part number of the table, the checksums and the footer.
const TAIL: u64 = u64::MAX;

/// Writes one file of sections.
pub struct SectionWriter {
    file: Box<dyn VfsFile>,
    path: PathBuf,
    name: String,
    index: IndexId,
    block: Vec<u8>,
    checksums: Vec<u32>,
    table: Vec<TableEntry>,
    position: u64,
}

impl SectionWriter {
    pub fn create(vfs: &dyn Vfs, name: &str, index: IndexId) -> Result<Self> {
        let path = vfs.path(name);
        let mut writer = Self {
            file: vfs.create(name).at("create", &path)?,
            path,
            name: name.to_owned(),
            index,
            block: Vec::with_capacity(BLOCK),
            checksums: Vec::new(),
            table: Vec::new(),
            position: 0,
        };
        writer.write_bytes(bytemuck::bytes_of(&Header {
            magic: HEADER_MAGIC,
            version: FORMAT_VERSION,
            reserved: 0,
            index: index.0,
            kind: tag(kind_of(name)),
            reserved_tail: [0; 16],
        }))?;
        Ok(writer)
    }

    /// Starts a section; what is written until the next call belongs to it.
    pub fn begin(&mut self, name: &str) -> Result<()> {
        self.end_section();
        self.align()?;
        self.table.push(TableEntry {
            name: tag(name),
            offset: self.position,
            length: 0,
        });
        Ok(())
    }

    pub fn write<T: NoUninit>(&mut self, values: &[T]) -> Result<()> {
        self.write_bytes(bytemuck::cast_slice(values))
    }

    /// A section in one call.
    pub fn section<T: NoUninit>(&mut self, name: &str, values: &[T]) -> Result<()> {
        self.begin(name)?;
        self.write(values)
    }

    /// Writes table, checksums and footer, and returns when the file survives a power loss.
    pub fn finish(mut self) -> Result<FileEntry> {
        self.end_section();
        self.align()?;
        self.flush_block()?;
        let table_offset = self.position;
        let mut tail: Vec<u8> = bytemuck::cast_slice(&self.table).to_vec();
        tail.extend_from_slice(bytemuck::cast_slice(&self.checksums));
        let mut footer = Footer {
            table_offset,
            sections: self.table.len() as u32,
            blocks: self.checksums.len() as u32,
            reserved: [0; 36],
            crc: 0,
            magic: FOOTER_MAGIC,
        };
        let covered = bytemuck::bytes_of(&footer).get(..FOOTER_COVERED);
        let crc = crc32c::crc32c_append(seed(&self.index, &self.name, TAIL), &tail);
        footer.crc = crc32c::crc32c_append(crc, covered.unwrap_or_default());
        tail.extend_from_slice(bytemuck::bytes_of(&footer));
        self.file.write_all(&tail).at("write", &self.path)?;
        self.file.sync().at("sync", &self.path)?;
        Ok(FileEntry {
            name: self.name,
            length: table_offset.saturating_add(tail.len() as u64),
        })
    }

    fn end_section(&mut self) {
        if let Some(entry) = self.table.last_mut() {
            entry.length = self.position.saturating_sub(entry.offset);
        }
    }

    fn align(&mut self) -> Result<()> {
        let padding = self.position.wrapping_neg() % ALIGNMENT;
        let zeros = [0; ALIGNMENT as usize];
        self.write_bytes(zeros.get(..padding as usize).unwrap_or_default())
    }

    fn write_bytes(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.position = self.position.saturating_add(bytes.len() as u64);
        if self.position > MAX_FILE_LENGTH {
            return Err(Error::InvalidInput(format!(
                "{}: a segment file would pass 4 GiB; lower memory_limit so that segments are smaller",
                self.path.display()
            )));
        }
        while !bytes.is_empty() {
            let room = BLOCK.saturating_sub(self.block.len()).min(bytes.len());
            let (now, later) = bytes.split_at(room);
            self.block.extend_from_slice(now);
            bytes = later;
            if self.block.len() == BLOCK {
                self.flush_block()?;
            }
        }
        Ok(())
    }

    fn flush_block(&mut self) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let seed = seed(&self.index, &self.name, self.checksums.len() as u64);
        self.checksums
            .push(crc32c::crc32c_append(seed, &self.block));
        self.file.write_all(&self.block).at("write", &self.path)?;
        self.block.clear();
        Ok(())
    }
}

/// A mapped file of sections whose header, table and footer have been checked.
pub struct SectionFile {
    path: PathBuf,
    name: String,
    index: IndexId,
    map: Arc<Mapping>,
    table: Vec<([u8; 16], Range<usize>)>,
    /// Where the sections end and the table begins.
    body: usize,
    /// Where the block checksums lie.
    checksums: Range<usize>,
}

impl SectionFile {
    pub fn open(vfs: &dyn Vfs, entry: &FileEntry, index: IndexId) -> Result<Self> {
        let path = vfs.path(&entry.name);
        let map = vfs.map(&entry.name).at("open", &path)?;
        if map.len() as u64 != entry.length {
            let detail = format!("{} bytes, the manifest says {}", map.len(), entry.length);
            return Err(Error::corrupt(&path, detail));
        }
        check_header(&map, &path, &entry.name, &index)?;
        let tail = read_tail(&map, &entry.name, &index).map_err(|d| Error::corrupt(&path, d))?;
        Ok(Self {
            name: entry.name.clone(),
            index,
            map: Arc::new(map),
            table: tail.table,
            body: tail.body,
            checksums: tail.checksums,
            path,
        })
    }

    /// The values of a section. Costs nothing until they are read.
    pub fn array<T: AnyBitPattern>(&self, section: &str) -> Result<Array<T>> {
        let wanted = tag(section);
        let found = self.table.iter().find(|(name, _)| *name == wanted);
        let Some((_, range)) = found else {
            return Err(self.corrupt(format!("section {section:?} is missing")));
        };
        Array::new(self.map.clone(), range.clone())
            .ok_or_else(|| self.corrupt(format!("section {section:?} has a broken length")))
    }

    /// Like `array`, with a length that other parts of the file demand.
    pub fn array_of<T: AnyBitPattern>(&self, section: &str, length: usize) -> Result<Array<T>> {
        let array = self.array(section)?;
        if array.len() != length {
            let detail = format!(
                "section {section:?} has {} items, not {length}",
                array.len()
            );
            return Err(self.corrupt(detail));
        }
        Ok(array)
    }

    /// Compares the checksum of every block; returns the bytes read.
    pub fn verify(&self) -> Result<u64> {
        let body = self.map.get(..self.body).unwrap_or_default();
        let stored = self.map.get(self.checksums.clone()).unwrap_or_default();
        for (number, (block, stored)) in body.chunks(BLOCK).zip(stored.chunks(4)).enumerate() {
            let seed = seed(&self.index, &self.name, number as u64);
            if crc32c::crc32c_append(seed, block).to_le_bytes() != *stored {
                return Err(self.corrupt(format!("block {number} fails its checksum")));
            }
        }
        Ok(self.map.len() as u64)
    }

    pub fn corrupt(&self, detail: impl Into<String>) -> Error {
        Error::corrupt(&self.path, detail)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn check_header(map: &[u8], path: &Path, name: &str, index: &IndexId) -> Result<()> {
    let bytes = map.get(..HEADER);
    let Some(header) = bytes.map(bytemuck::pod_read_unaligned::<Header>) else {
        return Err(Error::corrupt(path, "too short for a header"));
    };
    if header.magic != HEADER_MAGIC {
        return Err(Error::corrupt(path, "not a file of a weft index"));
    }
    if header.version > FORMAT_VERSION {
        return Err(Error::FormatVersion {
            path: path.to_path_buf(),
            found: header.version,
            supported: FORMAT_VERSION,
        });
    }
    if header.index != index.0 {
        return Err(Error::corrupt(path, "belongs to another index"));
    }
    let reserved_clear = header.reserved == 0 && header.reserved_tail == [0; 16];
    if header.version == 0 || header.kind != tag(kind_of(name)) || !reserved_clear {
        return Err(Error::corrupt(path, "the header is damaged"));
    }
    Ok(())
}

struct Tail {
    table: Vec<([u8; 16], Range<usize>)>,
    body: usize,
    checksums: Range<usize>,
}

fn read_tail(map: &[u8], name: &str, index: &IndexId) -> std::result::Result<Tail, &'static str> {
    let damaged = "the footer is damaged";
    let footer_start = map.len().checked_sub(FOOTER).ok_or(damaged)?;
    let footer_bytes = map.get(footer_start..).ok_or(damaged)?;
    let footer: Footer = bytemuck::pod_read_unaligned(footer_bytes);
    if footer.magic != FOOTER_MAGIC || footer.reserved != [0; 36] {
        return Err(damaged);
    }
    let body = usize::try_from(footer.table_offset).map_err(|_| damaged)?;
    let table_length = (footer.sections as usize).checked_mul(ENTRY);
    let checksums_length = (footer.blocks as usize).checked_mul(size_of::<u32>());
    let table_end = table_length.and_then(|length| body.checked_add(length));
    let table_end = table_end.ok_or(damaged)?;
    let checksums_end = checksums_length.and_then(|length| table_end.checked_add(length));
    if checksums_end != Some(footer_start) || footer.blocks as usize != body.div_ceil(BLOCK) {
        return Err(damaged);
    }
    let covered = map.get(body..footer_start.saturating_add(FOOTER_COVERED));
    let seed = seed(index, name, TAIL);
    if crc32c::crc32c_append(seed, covered.ok_or(damaged)?) != footer.crc {
        return Err("the footer fails its checksum");
    }
    let table = read_table(map.get(body..table_end).ok_or(damaged)?, body)?;
    Ok(Tail {
        table,
        body,
        checksums: table_end..footer_start,
    })
}

type Table = Vec<([u8; 16], Range<usize>)>;

/// Sections must fill the body in order, each from the next multiple of the alignment.
fn read_table(bytes: &[u8], body: usize) -> std::result::Result<Table, &'static str> {
    let damaged = "the section table is damaged";
    let mut next = HEADER;
    let mut table = Vec::new();
    for entry in bytes.chunks_exact(ENTRY) {
        let entry: TableEntry = bytemuck::pod_read_unaligned(entry);
        let length = usize::try_from(entry.length).map_err(|_| damaged)?;
        let end = next.checked_add(length).ok_or(damaged)?;
        if entry.offset != next as u64 || end > body {
            return Err(damaged);
        }
        table.push((entry.name, next..end));
        next = end.next_multiple_of(ALIGNMENT as usize);
    }
    match next == body {
        true => Ok(table),
        false => Err(damaged),
    }
}

/// A typed view of a section. Cloning shares the mapping.
pub struct Array<T> {
    map: Arc<Mapping>,
    range: Range<usize>,
    values: PhantomData<T>,
}

impl<T: AnyBitPattern> Array<T> {
    fn new(map: Arc<Mapping>, range: Range<usize>) -> Option<Self> {
        let bytes = map.get(range.clone())?;
        bytemuck::try_cast_slice::<u8, T>(bytes).ok()?;
        Some(Self {
            map,
            range,
            values: PhantomData,
        })
    }
}

impl<T> Clone for Array<T> {
    fn clone(&self) -> Self {
        Self {
            map: self.map.clone(),
            range: self.range.clone(),
            values: PhantomData,
        }
    }
}

impl<T: AnyBitPattern> Deref for Array<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        let bytes = self.map.get(self.range.clone()).unwrap_or_default();
        bytemuck::try_cast_slice(bytes).unwrap_or_default()
    }
}
