//! The choice that a restore makes for each licence.

/// The fate of a backup's licence in a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// The licence is written, or would be; in a directory it waits to be moved into its place.
    Written,
    /// The store has it already.
    Same,
    /// The store has another version, and keeps it.
    Kept,
}

impl Placed {
    /// Decides by whether the store's licence of the name `is_same`; none where there is no such
    /// licence.
    pub fn by(is_same: Option<bool>, replace: bool) -> Placed {
        match is_same {
            Some(true) => Placed::Same,
            Some(false) if !replace => Placed::Kept,
            Some(false) | None => Placed::Written,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Placed;

    #[test]
    fn only_another_version_is_replaced_or_kept() {
        for replace in [false, true] {
            assert_eq!(Placed::by(None, replace), Placed::Written);
            assert_eq!(Placed::by(Some(true), replace), Placed::Same);
        }
        assert_eq!(Placed::by(Some(false), false), Placed::Kept);
        assert_eq!(Placed::by(Some(false), true), Placed::Written);
    }
}
