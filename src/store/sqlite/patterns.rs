//! The patterns of LIKE and GLOB.

use super::characters::first_of;
use crate::sys::database_functions::{Effort, Refusal};

/// The characters of a pattern that stand for others.
#[derive(Clone, Copy)]
pub struct Wildcards {
    any: Option<u32>,
    one: Option<u32>,
    /// The character that takes the meaning of the next one away.
    escape: Option<u32>,
    has_sets: bool,
    is_caseless: bool,
}

impl Wildcards {
    pub const LIKE: Wildcards = Wildcards {
        any: Some('%' as u32),
        one: Some('_' as u32),
        escape: None,
        has_sets: false,
        is_caseless: true,
    };
    pub const GLOB: Wildcards = Wildcards {
        any: Some('*' as u32),
        one: Some('?' as u32),
        escape: None,
        has_sets: true,
        is_caseless: false,
    };

    /// Takes the meaning of what follows an `escape` away.
    pub fn escaped_by(self, escape: u32) -> Wildcards {
        Wildcards {
            any: self.any.filter(|any| *any != escape),
            one: self.one.filter(|one| *one != escape),
            escape: Some(escape),
            ..self
        }
    }
}

/// What is left of a pattern and of a text.
#[derive(Clone, Copy)]
pub struct Rests<'r> {
    pub pattern: &'r [u8],
    pub text: &'r [u8],
}

impl Wildcards {
    /// Tells whether all of the text matches. Where what follows a wildcard for any characters does
    /// not, the last such one takes one more.
    pub fn match_all(self, mut rests: Rests<'_>, effort: &Effort<'_>) -> Result<bool, Refusal> {
        let mut last: Option<Rests<'_>> = None;
        loop {
            let (wanted, pattern) = first_of(rests.pattern, effort)?;
            if wanted != 0 && Some(wanted) == self.any {
                rests.pattern = pattern;
                last = Some(rests);
            } else if let Some(matched) = self.match_one(rests, effort)? {
                rests = matched;
            } else if rests.pattern.is_empty() && rests.text.is_empty() {
                return Ok(true);
            } else {
                match &mut last {
                    Some(last) if last.pattern.is_empty() => return Ok(true),
                    Some(last) if !last.text.is_empty() => {
                        (_, last.text) = first_of(last.text, effort)?;
                        rests = *last;
                    }
                    _ => return Ok(false),
                }
            }
        }
    }

    /// Gives what follows in both where the next character matches.
    fn match_one<'r>(
        self,
        rests: Rests<'r>,
        effort: &Effort<'_>,
    ) -> Result<Option<Rests<'r>>, Refusal> {
        if rests.pattern.is_empty() || rests.text.is_empty() {
            return Ok(None);
        }
        let (mut wanted, mut pattern) = first_of(rests.pattern, effort)?;
        let (found, text) = first_of(rests.text, effort)?;
        if self.has_sets && wanted == u32::from('[') {
            let pattern = in_set(found, pattern, effort)?;
            return Ok(pattern.map(|pattern| Rests { pattern, text }));
        }
        let is_escaped = Some(wanted) == self.escape;
        if is_escaped {
            if pattern.is_empty() {
                return Ok(None);
            }
            (wanted, pattern) = first_of(pattern, effort)?;
        }
        let is_one = !is_escaped && Some(wanted) == self.one;
        let lower = |character: u32| u8::try_from(character).map(|byte| byte.to_ascii_lowercase());
        let is_same = wanted == found
            || self.is_caseless && wanted < 0x80 && found < 0x80 && lower(wanted) == lower(found);
        Ok((is_one || is_same).then_some(Rests { pattern, text }))
    }
}

/// Gives what follows a set of GLOB that has `found`, behind its `[`.
fn in_set<'p>(found: u32, set: &'p [u8], effort: &Effort<'_>) -> Result<Option<&'p [u8]>, Refusal> {
    let end = u32::from(']');
    let (mut character, mut rest) = first_of(set, effort)?;
    let is_inverted = character == u32::from('^');
    if is_inverted {
        (character, rest) = first_of(rest, effort)?;
    }
    let mut is_in = false;
    if character == end {
        is_in = found == end;
        (character, rest) = first_of(rest, effort)?;
    }
    let mut from = 0;
    while character != 0 && character != end {
        let is_range = character == u32::from('-') && from > 0;
        if is_range && rest.first().is_some_and(|next| *next != b']') {
            (character, rest) = first_of(rest, effort)?;
            is_in |= (from..=character).contains(&found);
            from = 0;
        } else {
            is_in |= character == found;
            from = character;
        }
        (character, rest) = first_of(rest, effort)?;
    }
    Ok((character != 0 && is_in != is_inverted).then_some(rest))
}
