//! The parameters of zstd for what is in a backup. benches/ compresses with them, too.

use zstd_safe::{CParameter, ParamSwitch};

/// The parameters measured to pack licences best for the time they take: level 1 with a window as
/// large as a frame, a match finder that still fits the cache, matches long enough to skip the
/// random bytes of a signature, and long steps through those. From such steps zstd concludes that
/// speed matters most, and does not compress bytes without a match; the last parameter makes it
/// compress them.
pub const LICENSES: [CParameter; 6] = [
    CParameter::CompressionLevel(1),
    CParameter::WindowLog(21),
    CParameter::HashLog(15),
    CParameter::MinMatch(7),
    CParameter::TargetLength(2),
    CParameter::LiteralCompressionMode(ParamSwitch::Enable),
];

/// The parameters for the lists, in which a line is like those just before it: a smaller match
/// finder, which stays in the fastest cache, finds more than a large one and takes a fifth less
/// time.
pub const LISTS: [CParameter; 4] = [
    CParameter::CompressionLevel(1),
    CParameter::WindowLog(21),
    CParameter::HashLog(12),
    CParameter::MinMatch(7),
];

/// The parameters for licences that are hardly more than their headers, which are like lines of a
/// list.
pub const SMALL_LICENSES: [CParameter; 6] = [
    CParameter::CompressionLevel(1),
    CParameter::WindowLog(21),
    CParameter::HashLog(13),
    CParameter::MinMatch(7),
    CParameter::TargetLength(0),
    CParameter::LiteralCompressionMode(ParamSwitch::Auto),
];
/// Bytes of a member, on the average of a frame, up to which its licences are small.
pub const SMALL: usize = 1536;
