//! The simulator grants what POSIX grants, and no more.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::{ErrorKind, Write};

use super::{Crash, Fault, Kind, SimVfs};
use crate::storage::vfs::Vfs;

const EIO: i32 = 5;

fn write(vfs: &SimVfs, name: &str, bytes: &[u8], sync: bool) -> std::io::Result<()> {
    let mut file = vfs.create(name)?;
    file.write_all(bytes)?;
    if sync { file.sync() } else { Ok(()) }
}

fn after_power_loss(vfs: &SimVfs) -> SimVfs {
    vfs.crash_image(vfs.operation_count(), Crash::Synced)
}

#[test]
fn a_file_needs_its_own_sync_and_the_directory_s() {
    let vfs = SimVfs::new();
    write(&vfs, "synced", b"abc", true).unwrap();
    write(&vfs, "unsynced", b"abc", false).unwrap();
    assert_eq!(after_power_loss(&vfs).names(), [""; 0]);
    vfs.sync_directory().unwrap();
    let image = after_power_loss(&vfs);
    assert_eq!(image.get("synced").unwrap(), b"abc");
    assert_eq!(image.get("unsynced").unwrap(), b"");
    let all = vfs.crash_image(vfs.operation_count(), Crash::All);
    assert_eq!(all.get("unsynced").unwrap(), b"abc");
    assert_eq!(all.operation_count(), 0);
}

#[test]
fn a_rename_and_a_removal_need_a_directory_sync() {
    let vfs = SimVfs::new();
    write(&vfs, "a", b"1", true).unwrap();
    write(&vfs, "b", b"2", true).unwrap();
    vfs.sync_directory().unwrap();
    vfs.rename("a", "c").unwrap();
    vfs.remove("b").unwrap();
    assert_eq!(vfs.names(), ["c"]);
    assert_eq!(after_power_loss(&vfs).names(), ["a", "b"]);
    vfs.sync_directory().unwrap();
    assert_eq!(after_power_loss(&vfs).names(), ["c"]);
}

#[test]
fn the_halves_of_a_rename_never_part() {
    let vfs = SimVfs::new();
    vfs.set("old", b"content");
    vfs.rename("old", "new").unwrap();
    write(&vfs, "other", b"", false).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..64 {
        let image = vfs.crash_image(vfs.operation_count(), Crash::Random(seed));
        seen.insert(image.names().join(" "));
    }
    let seen: Vec<_> = seen.iter().map(String::as_str).collect();
    assert_eq!(seen, ["new", "new other", "old", "old other"]);
}

#[test]
fn what_a_failed_sync_left_behind_stays_uncertain() {
    let vfs = SimVfs::new();
    let mut file = vfs.create("a").unwrap();
    file.write_all(b"first").unwrap();
    vfs.fault(vfs.operation_count(), Fault::Error(EIO));
    assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(EIO));
    file.write_all(b"second").unwrap();
    file.sync().unwrap();
    vfs.sync_directory().unwrap();
    let image = after_power_loss(&vfs);
    assert_eq!(image.get("a").unwrap(), b"\0\0\0\0\0second");
}

#[test]
fn a_torn_write_leaves_a_beginning_and_sectors_come_whole() {
    let vfs = SimVfs::new();
    let bytes: Vec<u8> = (0..4096_u32).map(|i| (i / 512 + 1) as u8).collect();
    let mut file = vfs.create("a").unwrap();
    vfs.sync_directory().unwrap();
    file.write_all(&bytes).unwrap();
    file.write_all(b"torn").unwrap();
    let mut lengths = std::collections::BTreeSet::new();
    let mut holes = 0;
    for seed in 0..64 {
        let image = vfs.crash_image(vfs.operation_count(), Crash::Random(seed));
        let found = image.get("a").unwrap();
        lengths.insert(found.len());
        let sectors = bytes.chunks(512).zip(found.chunks(512));
        holes += sectors.filter(|(wrote, found)| wrote != found).count();
    }
    assert!(lengths.contains(&4100) && lengths.len() > 3 && holes > 64);
}

#[test]
fn a_killed_process_loses_nothing_until_the_power_goes() {
    let vfs = SimVfs::new();
    let guard = vfs.try_lock("LOCK").unwrap();
    write(&vfs, "a", b"abc", true).unwrap();
    let killed = vfs.killed(vfs.operation_count());
    assert_eq!(killed.names(), ["LOCK", "a"]);
    assert!(guard.is_some() && killed.try_lock("LOCK").unwrap().is_some());
    assert_eq!(after_power_loss(&killed).names(), [""; 0]);
    killed.sync_directory().unwrap();
    assert_eq!(after_power_loss(&killed).get("a").unwrap(), b"abc");
}

#[test]
fn faults_strike_once_or_for_good() {
    let vfs = SimVfs::new();
    vfs.fault_from(0, Fault::Interrupted);
    let mut file = vfs.create("a").unwrap();
    let error = file.write(b"abcdef").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    vfs.fault(vfs.operation_count(), Fault::ShortWrite);
    assert_eq!(file.write(b"abcdef").unwrap(), 3);
    assert_eq!(file.write(b"def").unwrap(), 3);
    vfs.fault_from(vfs.operation_count(), Fault::Error(EIO));
    for _ in 0..3 {
        assert!(file.write(b"ghi").is_err());
    }
    vfs.clear_fault();
    assert_eq!(vfs.get("a").unwrap(), b"abcdef");
    let operations = vfs.operations();
    let failed: Vec<_> = operations.iter().filter(|o| !o.done).collect();
    assert_eq!(failed.len(), 4);
    assert_eq!((failed[0].kind, failed[1].kind), (Kind::Write, Kind::Write));
}

#[test]
fn emptying_a_file_is_uncertain_until_it_is_synced() {
    let vfs = SimVfs::new();
    vfs.set("a", b"old content");
    write(&vfs, "a", b"new", false).unwrap();
    assert_eq!(after_power_loss(&vfs).get("a").unwrap(), b"old content");
    write(&vfs, "a", b"new", true).unwrap();
    assert_eq!(after_power_loss(&vfs).get("a").unwrap(), b"new");
}

#[test]
fn the_lock_has_one_holder() {
    let vfs = SimVfs::new();
    let guard = vfs.try_lock("LOCK").unwrap();
    assert!(guard.is_some() && vfs.try_lock("LOCK").unwrap().is_none());
    let image = vfs.crash_image(vfs.operation_count(), Crash::All);
    assert!(image.try_lock("LOCK").unwrap().is_some());
    drop(guard);
    assert!(vfs.try_lock("LOCK").unwrap().is_some());
}
