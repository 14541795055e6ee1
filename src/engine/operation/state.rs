//! How an operation goes from start to end, as functions of nothing but the state before: whoever holds
//! an operation's lock asks them, and nobody else decides.

use crate::error::{Outcome, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Running,
    /// It is to end since the host wants it so.
    Stopping(Outcome),
    /// Its effect can't be taken back.
    Committed,
    /// Its outcome is settled.
    Concluded(Result<(), Outcome>),
}

impl State {
    /// Whether a wish to stop is heeded: the first is, and who repeats it is told the same.
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

    /// Settles the outcome of a story that ended with `result`, and gives it: once, so that the host is
    /// told one end.
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

    /// What can happen to an operation, at any time and in any order: the host cancels or destroys the
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

    /// Every sequence of `length` steps.
    fn sequences(length: u32) -> impl Iterator<Item = Vec<Step>> {
        let count = STEPS.len();
        (0..count.pow(length)).map(move |number| {
            let place = |digit| number / count.pow(digit) % count;
            (0..length).map(|digit| STEPS[place(digit)]).collect()
        })
    }

    /// The contract's words about a sequence, said of the whole of it: the first cause wins, nothing stops
    /// what is committed, and there is one end.
    fn check(steps: &[Step]) {
        let (mut state, mut ends) = (State::Running, Vec::new());
        for (number, step) in steps.iter().enumerate() {
            let before = &steps[..number];
            let first = before.iter().position(|step| *step != Step::Commit);
            let first_stop = before.iter().find(|step| matches!(step, Step::Stop(_)));
            // Nothing but the very first step can have come before every cause to end.
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
