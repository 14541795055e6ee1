//! Forged backups, and the operations of tests and fuzzing on their bytes. No part of the product.

pub mod forge;
pub mod parsers;
#[cfg(test)]
mod read_again;
#[cfg(test)]
mod roundtrip;
