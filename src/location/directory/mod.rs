//! A backup in a directory of this machine: only here does one get its name.
//!
//! A new backup is written to a file without a name, brought to the disk, and named in one step. A
//! backup that replaces another gets a hidden name first and is renamed over the old one, which is
//! never written into. An empty file goes this way before, since a sandbox may deny it. Only the
//! backup that was there when the new one began is replaced; a lock on the directory is held for
//! the check and the rename. On file systems without unnamed files the file has a hidden name from
//! the start. The writer of a file with a hidden name holds a lock on it, so that a file left by a
//! killed process can be told from one that is being written.

pub mod destination;
pub mod draft;
pub mod existing;
