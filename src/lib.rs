//! A backup restorer object for licences, for every host that speaks C: the counterpart of
//! `IWMLicenseBackup` and its companions in the Windows Media Format SDK.
//!
//! The library is used through `include/licbak.h`; the Rust items are public only so that the
//! header can be made from them. Layers, arrows pointing down only:
//!
//! ```text
//! abi ──► engine ──► store    (where licences live)       ──► license
//!            ├─────► archive  (the backup file's bytes)   ──► license, digest
//!            └─────► location (where a backup file lives)
//! all but archive and license, which touch no disk ──► sys (the system)
//! abi, engine, store, location ──► sync (locks, channels)
//! ```

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

#[allow(unsafe_code)]
pub mod abi;
mod archive;
mod buffer;
mod bytes;
mod cipher;
mod digest;
mod encryption;
mod engine;
mod error;
mod json;
#[cfg(test)]
mod layers;
mod license;
mod location;
mod random;
mod secret;
/// Runs each parser on any content, for the targets in fuzz/.
#[cfg(fuzzing)]
pub mod parsers {
    pub use crate::archive::testing::parsers::{backup, index, members, ruin, table, trailer};
    pub use crate::encryption::parsers::encrypted;
    pub use crate::license::parsers::*;
    pub use crate::location::bucket::parsers::answer;
}
mod store;
mod sync;
mod sys;
mod xml;

#[cfg(all(test, feature = "object-storage"))]
#[test]
fn the_corpora_of_encrypted_files_and_of_answers_are_read() {
    license::parsers::check_corpora(&[
        ("encrypted", encryption::parsers::encrypted),
        ("answer", location::bucket::parsers::answer),
    ]);
}
