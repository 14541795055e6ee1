//! The licences and folders that an operation passes over, where the host wants it to keep going.

use super::operation::Operation;
use super::operation::listener::Notice;
use super::operation::progress::Counting;
use crate::error::{Error, Result};
use crate::random::HashSet;

/// What was passed over so far.
pub struct PassedOver {
    /// Whether what can't be taken is to be passed over.
    pub keeps_going: bool,
    first: Option<Error>,
    /// What the host was told of, where the operation may begin again.
    told: Option<HashSet<String>>,
}

impl PassedOver {
    pub fn new(keeps_going: bool) -> PassedOver {
        PassedOver {
            keeps_going,
            first: None,
            told: None,
        }
    }

    /// Does the same for an operation that may [begin again](Self::begin_again).
    pub fn of_attempts(keeps_going: bool) -> PassedOver {
        PassedOver {
            told: Some(HashSet::default()),
            ..PassedOver::new(keeps_going)
        }
    }

    /// Forgets what was passed over, but not of what the host has been told: it is told of each once.
    pub fn begin_again(&mut self) {
        self.first = None;
    }

    /// Passes over the licence or folder `name`, as it is shown: counts it, and tells the host.
    /// Fails with its `error` where that is to end the operation.
    pub fn take(&mut self, operation: &Operation, name: &str, error: Error) -> Result<()> {
        let Some(reason) = error.reason_of_one().filter(|_| self.keeps_going) else {
            return Err(error);
        };
        operation.counters.licenses_skipped.add(1);
        if is_news(&mut self.told, name)? {
            operation.tell(Notice::LeftOut {
                name: name.to_owned(),
                reason: reason.to_owned(),
            });
        }
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

/// Tells whether the host is still to be told of `name`, as it is from now on.
fn is_news(told: &mut Option<HashSet<String>>, name: &str) -> Result<bool> {
    let Some(told) = told else { return Ok(true) };
    told.try_reserve(1)?;
    Ok(told.insert(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_that_begins_again_tells_each_name_once() {
        let mut passed_over = PassedOver::of_attempts(true);
        for attempt in 0..3 {
            let is_news = is_news(&mut passed_over.told, "a").unwrap();
            assert_eq!(is_news, attempt == 0);
            passed_over.begin_again();
        }
        assert!(is_news(&mut passed_over.told, "b").unwrap());
        // Of rows that look alike each is told.
        let mut passed_over = PassedOver::new(true);
        assert!((0..2).all(|_| is_news(&mut passed_over.told, "a").unwrap()));
    }
}
