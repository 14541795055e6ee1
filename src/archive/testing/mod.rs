//! Forged backups, and the operations of tests and fuzzing on their bytes. No part of the product.

pub mod forge;
pub mod parsers;
#[cfg(test)]
mod read_again;
#[cfg(test)]
mod roundtrip;

use std::io::Write;

use super::Result;
use super::frames::Compressor;
use super::spool::Spool;
use super::state::Noted;
use super::writer::{Stamp, Writer};

/// Makes a writer whose lists wait in memory.
pub fn new_writer<F: Write>(out: F, noted: Option<Noted>) -> Result<Writer<'static, F, Vec<u8>>> {
    let (spool, compressor) = (
        Spool::new(0, || Ok(Vec::new())),
        Compressor::of_lists(None)?,
    );
    Ok(Writer::new(out, spool, compressor, noted))
}

/// Gives what a backup of the tests says about itself.
pub fn stamp() -> Stamp {
    Stamp {
        created: "2001-09-09T01:46:40Z".into(),
        id: [7; 16],
        generation: 1,
        machine: None,
        recipients: None,
    }
}

/// Tells where and when states are noted.
pub fn noted() -> Noted {
    Noted {
        version: "0.1.0".into(),
        leaves_out_unstated: false,
        boot: "this run".into(),
        mount: 7,
        key: "09".repeat(16),
    }
}
