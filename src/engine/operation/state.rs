//! The states of an operation from start to end, and the functions that lead from one to the next.
//! Only the holder of the operation's lock calls them, and nothing else decides.

use crate::error::{Outcome, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Running,
    /// The operation is to end, as the host wants.
    Stopping(Outcome),
    /// The effect of the operation can't be taken back.
    Committed,
    /// The outcome is settled.
    Concluded(Result<(), Outcome>),
}

impl State {
    /// Takes a wish to stop, and tells whether it is heeded: the first is, and so is one that
    /// repeats it.
    pub fn stop(self, cause: Outcome) -> (State, bool) {
        match self {
            State::Running => (State::Stopping(cause), true),
            State::Stopping(first) if first == cause => (self, true),
            other => (other, false),
        }
    }

    /// Passes the commit point, unless the operation is to stop.
    pub fn commit(self) -> (State, Result<(), Outcome>) {
        match self {
            State::Running | State::Committed => (State::Committed, Ok(())),
            State::Stopping(cause) => (self, Err(cause)),
            State::Concluded(outcome) => (self, outcome),
        }
    }

    /// Settles the outcome of a story that ended with `result`. It is given once, so that the host
    /// is told one end.
    pub fn conclude(self, result: Result<(), Outcome>) -> (State, Option<Result<(), Outcome>>) {
        let outcome = match self {
            State::Running | State::Committed => result,
            State::Stopping(cause) => Err(cause),
            State::Concluded(_) => return (self, None),
        };
        (State::Concluded(outcome), Some(outcome))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An event in an operation, at any time and in any order: the host cancels or destroys the
    /// restorer, a function of the host fails, the commit point is reached, the story ends.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Step {
        Stop(Outcome),
        Commit,
        Conclude(Result<(), Outcome>),
    }

    const STEPS: [Step; 6] = [
        Step::Stop(Outcome::Canceled),
        Step::Stop(Outcome::Host(-5)),
        Step::Stop(Outcome::Host(-6)),
        Step::Commit,
        Step::Conclude(Ok(())),
        Step::Conclude(Err(Outcome::DiskFull)),
    ];

    /// Gives every sequence of `length` steps.
    fn sequences(length: u32) -> impl Iterator<Item = Vec<Step>> {
        let count = STEPS.len();
        (0..count.pow(length)).map(move |number| {
            let place = |digit| number / count.pow(digit) % count;
            (0..length).map(|digit| STEPS[place(digit)]).collect()
        })
    }

    /// Checks what the contract says about a sequence as a whole: the first cause wins, nothing
    /// stops what is committed, and there is one end.
    fn check(steps: &[Step]) {
        let (mut state, mut ends) = (State::Running, Vec::new());
        for (number, step) in steps.iter().enumerate() {
            let before = &steps[..number];
            let first = before.iter().position(|step| *step != Step::Commit);
            let first_stop = before.iter().find(|step| matches!(step, Step::Stop(_)));
            // Only the very first step can have come before every cause to end.
            let is_committed = before.first() == Some(&Step::Commit);
            let is_over = before.iter().any(|step| matches!(step, Step::Conclude(_)));
            state = match *step {
                Step::Stop(cause) => {
                    let (next, heeded) = state.stop(cause);
                    let is_first = first_stop.is_none_or(|first| *first == Step::Stop(cause));
                    assert_eq!(heeded, !is_committed && !is_over && is_first, "{steps:?}");
                    next
                }
                Step::Commit => {
                    let (next, committed) = state.commit();
                    match (first.map(|first| before[first]), ends.first()) {
                        (None, None) => assert_eq!(committed, Ok(()), "{steps:?}"),
                        (_, Some(end)) => assert_eq!(committed, *end, "{steps:?}"),
                        (Some(Step::Stop(cause)), None) if !is_committed => {
                            assert_eq!(committed, Err(cause), "{steps:?}");
                        }
                        _ => assert_eq!(committed, Ok(()), "{steps:?}"),
                    }
                    next
                }
                Step::Conclude(result) => {
                    let (next, end) = state.conclude(result);
                    assert_eq!(end.is_some(), !is_over, "{steps:?}");
                    let stopped = match first_stop {
                        Some(Step::Stop(cause)) if !is_committed => Some(*cause),
                        _ => None,
                    };
                    let expected = stopped.map_or(result, Err);
                    assert!(end.is_none_or(|end| end == expected), "{steps:?}");
                    ends.extend(end);
                    next
                }
            };
        }
        assert!(ends.len() <= 1, "{steps:?}");
        let is_concluded = matches!(state, State::Concluded(_));
        assert_eq!(
            ends.first().map(|end| State::Concluded(*end)),
            is_concluded.then_some(state)
        );
    }

    #[test]
    fn in_every_order_the_first_cause_wins_and_there_is_one_end() {
        let orders = (0..=7).flat_map(sequences);
        assert_eq!(orders.inspect(|steps| check(steps)).count(), 335_923);
    }
}
