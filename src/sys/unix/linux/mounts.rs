//! The mount that a folder is on, as an [`Origin`].

#![forbid(unsafe_code)]

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatVfsMountFlags, StatxFlags};
use rustix::io::retry_on_intr;

use crate::sys::descriptors::open;
use crate::sys::files::Dir;
use crate::sys::origin::{Origin, Stamps};

/// The file systems of this machine's disks that keep inode numbers, and show each change in a
/// file's times. Sources: linux/magic.h, and btrfs, ZFS and bcachefs for numbers missing there.
const SHOW_CHANGES: [(i64, Stamps); 8] = [
    (0xEF53, Stamps::WhenLookedAt),      // ext4; ext2 and ext3
    (0x5846_5342, Stamps::WhenLookedAt), // XFS
    (0x9123_683E, Stamps::WhenLookedAt), // btrfs
    // tmpfs, which gives a folder the time of the file that is linked into it or unlinked from it.
    (0x0102_1994, Stamps::ByTick),
    (0xF2F5_2010, Stamps::ByTick), // F2FS
    (OVERLAYFS, Stamps::ByTick),
    (0x2FC1_2FC1, Stamps::ByTick), // ZFS
    (0xCA45_1A4E, Stamps::ByTick), // bcachefs
];
const OVERLAYFS: i64 = 0x794C_7630;

/// The file with the name of the kernel's run: a new one at each boot.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// The flag for the number that no other mount has in the same run, before or after
/// (`STATX_MNT_ID_UNIQUE`, since Linux 6.8).
const UNIQUE_MOUNT: StatxFlags = StatxFlags::from_bits_retain(0x4000);

impl Origin {
    /// Gives the present origin of `folder`; none where files do not show each change, or where it
    /// can't be told. A file system that can't be written to may have been made with any times, and
    /// changes as a whole.
    pub fn of(folder: &Dir) -> Option<Origin> {
        let kind = rustix::fs::fstatfs(folder).ok()?.f_type;
        let flags = rustix::fs::fstatvfs(folder).ok()?.f_flag;
        let (_, stamps) = SHOW_CHANGES.into_iter().find(|(known, _)| *known == kind)?;
        if flags.contains(StatVfsMountFlags::RDONLY) {
            return None;
        }
        let mount = mount(folder, UNIQUE_MOUNT).or_else(|| match kind {
            // Its layers may differ at the next mount, which may have the same number.
            OVERLAYFS => None,
            _ => mount(folder, StatxFlags::MNT_ID),
        });
        Some(Origin {
            boot: boot()?,
            mount: mount?,
            stamps,
        })
    }
}

impl Dir {
    /// Gives the number of the folder's mount, where it is known: nothing can be moved to another,
    /// though that may show the same file system.
    pub fn mount(&self) -> Option<u64> {
        mount(self, StatxFlags::MNT_ID)
    }
}

fn mount(folder: &Dir, by: StatxFlags) -> Option<u64> {
    let facts = rustix::fs::statx(folder.as_fd(), "", AtFlags::EMPTY_PATH, by).ok()?;
    // User-mode qemu says that the number is there, and gives 0 for each mount.
    (facts.stx_mask & by.bits() != 0 && facts.stx_mnt_id != 0).then_some(facts.stx_mnt_id)
}

fn boot() -> Option<String> {
    let (mut boot, mut text) = ([0; 64], String::new());
    let file = open(CWD, BOOT, OFlags::RDONLY, Mode::empty()).ok()?;
    let read = retry_on_intr(|| rustix::io::read(&file, &mut boot)).ok()?;
    let told = std::str::from_utf8(boot.get(..read)?).ok()?.trim();
    text.try_reserve_exact(told.len()).ok()?;
    text.push_str(told);
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::sys::anchored_path::AnchoredPath;
    use crate::sys::test_folder;

    #[test]
    fn an_origin_is_the_same_until_there_is_another_mount() {
        let path = test_folder("origin");
        let of = |path: &Path| Origin::of(&Dir::open(&AnchoredPath::now(path)).unwrap());
        assert_eq!(of(&path), of(&path));
        if let (Some(here), Some(there)) = (of(&path), of(Path::new("/dev/shm"))) {
            assert_eq!(here.boot, there.boot);
            assert!(here.boot.len() > 8, "{here:?}");
        }
        // The kernel's own files show none of their changes.
        assert_eq!(of(Path::new("/proc/sys")), None);
        std::fs::remove_dir_all(path).unwrap();
    }
}
