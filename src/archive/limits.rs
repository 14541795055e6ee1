//! The largest value of every number that a file can state, so that nothing is allocated or awaited
//! on its word alone.

/// Licences in a backup: they are counted by 32 bits.
pub const LICENSES_MAX: u64 = u32::MAX as u64;
/// Bytes of a member: that many licences, each with the longest line.
pub const MEMBER_MAX: u64 = LICENSES_MAX * LINE_MAX as u64;
/// Bytes of one decompressed frame: a licence with its headers fits, and other writers' frames have
/// some more room.
pub const FRAME_MAX: usize = 32 << 20;
/// Bytes of `backup.json`.
pub const TRAILER_MAX: u64 = 1 << 20;
/// Bytes of one line of JSON: a name and a key ID, each character escaped.
pub const LINE_MAX: usize = 64 << 10;
/// Bytes of a reader's first read: the seek table, the trailer, and in most backups the members
/// before them.
pub const TAIL: u64 = 256 << 10;
/// The largest time of modification that a tar header holds in eleven octal digits.
pub const TIME_MAX: i64 = (1 << 33) - 1;
/// Frames in a file, by the seekable format.
pub const FRAMES_MAX: u64 = 1 << 27;

/// Bytes at which a frame of licences is closed. They decide the compression ratio more than the
/// level does; from 2 MiB on little is gained.
pub const FRAME_TARGET: usize = 2 << 20;
/// Bytes at which a frame of the members that list the licences is closed.
pub const LIST_TARGET: usize = 1 << 20;
/// The same for `SHA256SUMS`: few, since finding one licence reads one of its frames, and a digest
/// is like no other.
pub const SUMS_TARGET: usize = 256 << 10;
/// Bytes at which a frame of the index is closed: few, since finding one licence reads one.
pub const INDEX_TARGET: usize = 128 << 10;
/// Records of the index that are sorted at once; the sorted parts of a larger one are merged.
pub const SORTED_AT_ONCE: usize = 256 << 10;
