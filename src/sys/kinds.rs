//! The kinds of files, the numbers that tell them apart, and the holders of their locks.

#![forbid(unsafe_code)]

/// The kind of a name in a folder, or of an open file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    /// A symbolic link, or what else stands for another name.
    Link,
    Special,
    /// The file system tells only when it is asked for this one name.
    Unknown,
}

/// The number that a file has on its device.
#[cfg(unix)]
pub type Inode = u64;
/// The number that a file has on its volume.
#[cfg(windows)]
pub type Inode = u128;

/// The identity of a file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The number of the device or volume.
    pub device: u64,
    pub inode: Inode,
}

/// The attribute of a file or folder that keeps what is in it from being changed, even by an
/// administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    #[cfg_attr(windows, expect(dead_code, reason = "there are rights for it"))]
    AppendOnly,
    #[cfg_attr(windows, expect(dead_code, reason = "there are rights for it"))]
    Immutable,
}

/// The holder of the lock on a file or folder that was to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// This descriptor or handle, until it is closed.
    Ours,
    Others,
    /// The file system has no locks.
    None,
}
