//! A cap on every number that a file can state, so that nothing is allocated or awaited on its word
//! alone.

/// Bytes of a member, which a tar header states in eleven octal digits.
pub const MEMBER_MAX: u64 = (8 << 30) - 1;
/// Bytes of one decompressed frame: a licence with its headers fits, with room for other writers'
/// frames.
pub const FRAME_MAX: usize = 32 << 20;
/// Bytes of `backup.json`.
pub const TRAILER_MAX: u64 = 1 << 20;
/// Bytes of one line of JSON: a name and a key ID, each character escaped.
pub const LINE_MAX: usize = 64 << 10;
/// The first read of a reader: the seek table, the trailer, and what comes before them in most
/// backups.
pub const TAIL: u64 = 256 << 10;
/// The largest time of modification that a tar header holds in eleven octal digits.
pub const TIME_MAX: i64 = (1 << 33) - 1;
/// Frames in a file, by the seekable format.
pub const FRAMES_MAX: u64 = 1 << 27;

/// A frame of licences is closed when it holds this much. It decides the compression ratio more
/// than the level does; from 2 MiB on little is gained.
pub const FRAME_TARGET: usize = 2 << 20;
/// As above, of the members that list the licences.
pub const LIST_TARGET: usize = 1 << 20;
/// As above, of the index: small, since finding one licence reads one.
pub const INDEX_TARGET: usize = 256 << 10;
