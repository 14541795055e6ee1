//! The licences and folders that an operation passes over, where the host wants it to keep going.

use super::operation::Operation;
use super::operation::listener::Notice;
use super::operation::progress::Counting;
use crate::error::{Error, Result};

/// What was passed over so far.
pub struct PassedOver {
    /// Whether what can't be taken is to be passed over.
    pub keeps_going: bool,
    first: Option<Error>,
}

impl PassedOver {
    pub fn new(keeps_going: bool) -> PassedOver {
        PassedOver {
            keeps_going,
            first: None,
        }
    }

    /// Passes over the licence or folder `name`, as it is shown: counts it, and tells the host.
    /// Fails with its `error` where that is to end the operation.
    pub fn take(&mut self, operation: &Operation, name: &str, error: Error) -> Result<()> {
        let Some(reason) = error.reason_of_one().filter(|_| self.keeps_going) else {
            return Err(error);
        };
        operation.counters.licenses_skipped.add(1);
        operation.tell(Notice::LeftOut {
            name: name.to_owned(),
            reason: reason.to_owned(),
        });
        self.first.get_or_insert(error);
        Ok(())
    }

    /// Fails with the first failure, unless `any` licence was not passed over: an operation that
    /// has done nothing has failed.
    pub fn check(&self, any: bool) -> Result<()> {
        match &self.first {
            Some(first) if !any => Err(first.clone()),
            _ => Ok(()),
        }
    }
}
