//! Publishing a generation, and removing what no generation needs. The order of the operations is the
//! promise: a manifest gets its name only when everything it refers to, names included, is on disk, and
//! nothing is removed before that name is on disk too. Protocol: FORMAT.md, "Commit".

use std::collections::HashSet;
use std::io::Write;

use serde::Serialize;
use serde::de::IgnoredAny;

use super::manifest::{self, Manifest};
use super::vfs::{LockGuard, Vfs};
use crate::error::{Error, IoContext, Result};

const LOCK: &str = "LOCK";

/// The right to write to the directory, which is made for a new index.
pub fn lock(vfs: &dyn Vfs) -> Result<LockGuard> {
    let path = vfs.path(LOCK);
    if manifest::latest(vfs)?.is_none() {
        vfs.create_directory().at("create", &vfs.path(""))?;
    }
    match vfs.try_lock(LOCK).at("lock", &path)? {
        Some(guard) => Ok(guard),
        None => Err(Error::Locked { path: vfs.path("") }),
    }
}

/// Makes `manifest` the newest generation. All its files must be complete and synced. When this has
/// returned, the generation survives a power loss; when it fails, either the old one or the new one
/// is found afterwards, whole.
pub fn publish<C: Serialize>(vfs: &dyn Vfs, manifest: &Manifest<C>) -> Result<()> {
    let bytes = manifest::encode(manifest)?;
    let temporary = vfs.path(manifest::TEMPORARY);
    sync_directory(vfs)?;
    let mut file = vfs.create(manifest::TEMPORARY).at("create", &temporary)?;
    file.write_all(&bytes).at("write", &temporary)?;
    file.sync().at("sync", &temporary)?;
    let name = manifest::name_of(manifest.generation);
    vfs.rename(manifest::TEMPORARY, &name)
        .at("rename", &temporary)?;
    sync_directory(vfs)
}

/// Returns when all names in the directory survive a power loss.
pub fn sync_directory(vfs: &dyn Vfs) -> Result<()> {
    vfs.sync_directory().at("sync", &vfs.path(""))
}

/// Removes files of the index that are not in `keep`; others are not touched. A file that cannot be
/// removed does no harm and is tried again by the next collection, so errors are not reported.
pub fn collect(vfs: &dyn Vfs, keep: &HashSet<String>) {
    for name in vfs.list().unwrap_or_default() {
        if is_ours(&name) && !keep.contains(&name) {
            let _ = vfs.remove(&name);
        }
    }
}

/// True for files that an index makes and removes.
fn is_ours(name: &str) -> bool {
    manifest::is_data_file(name)
        || manifest::generation_of(name).is_some()
        || name == manifest::TEMPORARY
}

/// The manifests before `newest` that a dead writer has left, with the files that they name. As long as
/// nothing is published after `newest`, a power loss may bring them back.
pub fn predecessors(vfs: &dyn Vfs, newest: u64) -> Result<Vec<String>> {
    let mut names = vec![];
    for name in vfs.list().at("list", &vfs.path(""))? {
        let generation = manifest::generation_of(&name);
        let Some(generation) = generation.filter(|generation| *generation < newest) else {
            continue;
        };
        match manifest::read::<IgnoredAny>(vfs, generation) {
            Ok(older) => names.extend(older.files.into_iter().map(|file| file.name)),
            Err(error @ Error::Io { .. }) => return Err(error),
            Err(_) => {}
        }
        names.push(name);
    }
    Ok(names)
}
