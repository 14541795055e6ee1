//! What the host is told of each licence that is restored.

use crate::engine::operation::Operation;
use crate::engine::operation::listener::Notice;
use crate::engine::operation::progress::Counting as _;
use crate::engine::passed_over::PassedOver;
use crate::error::{Error, Result};
use crate::store::Placed;

/// Counts a licence of `size` bytes that has its place, or that the store keeps in another version.
pub fn placed(operation: &Operation, name: &str, size: u64, placed: Placed) {
    match placed {
        Placed::Written | Placed::Same => {
            operation.counters.licenses_done.add(1);
            operation.counters.content_bytes.add(size);
        }
        Placed::Kept => kept(operation, name),
    }
}

/// Counts and tells a licence that the store keeps in another version.
pub fn kept(operation: &Operation, name: &str) {
    operation.counters.licenses_kept.add(1);
    operation.tell(Notice::Kept {
        name: name.to_owned(),
    });
}

/// Fails with the first failure where all licences were passed over; but the backup's `damage`, if
/// there is any, is told instead.
pub fn check(
    passed_over: &PassedOver,
    operation: &Operation,
    damage: &Option<Error>,
) -> Result<()> {
    let figures = operation.counters.read();
    let any = figures.licenses_done + figures.licenses_kept > 0;
    passed_over.check(any || damage.is_some())
}
