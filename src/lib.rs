//! A backup restorer object for licences: what `IWMLicenseBackup` and its companions were for the
//! Windows Media Format SDK, for every host that speaks C.
//!
//! The library is used through `include/licbak.h`; the Rust items are public only so that the
//! header can be made from them. Layers, arrows pointing down only:
//!
//! ```text
//! abi ──► engine ──► store ──► license
//!            ├─────► archive ──► license
//!            └─────► location
//! all of them ──► sys, error; but of sys, archive has only SHA-256, and license nothing: they touch no disk
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
mod engine;
mod error;
mod json;
#[cfg(test)]
mod layers;
mod license;
mod location;
/// Each parser on whatever content, for the targets in fuzz/.
#[cfg(fuzzing)]
pub mod parsers {
    pub use crate::archive::parsers::{backup, index, members, table, trailer};
    pub use crate::license::parsers::*;
}
mod store;
mod sys;
