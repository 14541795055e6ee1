//! A bucket for a library that was built without object storage: every use of it fails.

use super::address::{Access, Address};
use super::{BackupKind, Existing, Location, Look};
use crate::error::{Error, GoOn, Outcome, Result};
use crate::sys::files::Held;

pub struct Bucket {
    pub address: Address,
    #[allow(dead_code)]
    pub access: Access,
}

fn unsupported(address: &Address) -> Error {
    let sentence = format!(
        "This library was built without object storage, where '{address}' is. Name a directory, or build it with the \
         feature object-storage."
    );
    Error::new(Outcome::NotSupported, sentence)
}

impl Location for Bucket {
    fn name_of(&self, kind: BackupKind) -> String {
        self.address.name_of(&self.address.key(kind))
    }

    fn check_free(&self) -> Result<()> {
        Ok(())
    }

    fn look(&self, _: BackupKind, _: bool) -> Look {
        let address = self.address.clone();
        Box::new(move |_| Err(unsupported(&address)))
    }

    fn hold(&self) -> Result<Vec<Held>> {
        Ok(Vec::new())
    }

    fn open(&self, _: &GoOn) -> Result<Box<dyn Existing>> {
        Err(unsupported(&self.address))
    }
}
