//! A snapshot in the formats of other engines.

use std::io::{BufWriter, Write};
use std::path::Path;

use super::snapshot::Snapshot;
use crate::error::{Error, IoContext, Result};
use crate::interchange::ciff;
use crate::pool::Interrupt;
use crate::sparse::merge::{DocumentMap, Merge};
use crate::storage::vfs::Vfs;

impl Snapshot {
    /// Writes the vectors of all live documents, in insertion order, to the CIFF file `name`, which gets
    /// its name when it is whole. Its term frequencies are impacts; the description tells the weight of
    /// one.
    pub fn export_ciff(&self, vfs: &dyn Vfs, name: &str, interrupt: &Interrupt) -> Result<()> {
        self.sparse_schema()?;
        if self.len() > i32::MAX as u64 {
            let documents = self.len();
            return Err(Error::InvalidInput(format!(
                "{documents} documents; a CIFF file numbers them up to 2,147,483,647"
            )));
        }
        let temporary = format!("{name}.tmp");
        let path = vfs.path(&temporary);
        let written = self.write_ciff(vfs, &temporary, &path, interrupt);
        let renamed = written.and_then(|()| vfs.rename(&temporary, name).at("rename", &path));
        if renamed.is_err() {
            let _ = vfs.remove(&temporary);
            return renamed;
        }
        vfs.sync_directory().at("sync", &vfs.path(""))
    }

    fn write_ciff(
        &self,
        vfs: &dyn Vfs,
        name: &str,
        path: &Path,
        interrupt: &Interrupt,
    ) -> Result<()> {
        let segments = &self.segments;
        let documents = DocumentMap::new(
            segments
                .iter()
                .map(|s| (s.entry.documents, s.deleted.documents())),
        );
        let sparse = segments.iter().filter_map(|s| s.sparse.as_ref());
        let source = Merge::new(sparse.collect(), &documents, interrupt)?;
        let id = |document: u32| {
            let (segment, document) = documents.origins[document as usize];
            segments[segment as usize].ids.get(document)
        };
        let mut file = BufWriter::new(vfs.create(name).at("create", path)?);
        ciff::write(&mut file, path, &source, id, &self.description(), interrupt)?;
        file.flush().at("write", path)?;
        file.get_mut().sync().at("sync", path)
    }

    fn description(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        match self.scale() {
            Some(scale) => format!("weft {version}; weight = tf * {}", scale.step()),
            None => format!("weft {version}"),
        }
    }
}
