//! No part of the product: forged backups, and what tests and fuzzing do with the bytes.

pub mod forge;
pub mod parsers;
#[cfg(test)]
mod read_again;
#[cfg(test)]
mod roundtrip;
