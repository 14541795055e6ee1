//! Functions of SQL that a cancel ends at any time, in place of those of SQLite's that it can't be
//! stopped in, and which take hours with some values. They answer as SQLite's do.

use std::ffi::CStr;
use std::sync::Arc;

use memchr::memmem;
use rusqlite::Connection;

use super::characters::{first_of, is_within, length, until_nul};
use super::patterns::{Rests, Wildcards};
use crate::error::GoOn;
use crate::sys::database_functions::{self as functions, Answer, Call, Function, Refusal, Stops};

type Answered = Result<Answer, Refusal>;

/// What is said for a function that nobody can stop, and that no view of licences needs.
const NO_PATCH: &CStr =
    c"json_patch and jsonb_patch can't be used here: they take too long for some values";

static FUNCTIONS: [Function; 11] = [
    function(c"instr", 2, instr),
    function(c"replace", 3, replace),
    function(c"trim", 2, |call| trim(call, true, true)),
    function(c"ltrim", 2, |call| trim(call, true, false)),
    function(c"rtrim", 2, |call| trim(call, false, true)),
    function(c"unhex", 2, unhex),
    function(c"like", 2, |call| matches(call, Wildcards::LIKE)),
    function(c"like", 3, |call| matches(call, Wildcards::LIKE)),
    function(c"glob", 2, |call| matches(call, Wildcards::GLOB)),
    function(c"json_patch", 2, |_| Err(Refusal::Said(NO_PATCH))),
    function(c"jsonb_patch", 2, |_| Err(Refusal::Said(NO_PATCH))),
];

const fn function(
    name: &'static CStr,
    arguments: i32,
    answer: fn(&Call<'_>) -> Answered,
) -> Function {
    Function {
        name,
        arguments,
        answer,
    }
}

/// Has `connection` use them.
pub fn install(connection: &Connection, go_on: &GoOn) -> rusqlite::Result<()> {
    let go_on = Arc::clone(go_on);
    let stops: Stops = Arc::new(move || go_on().is_err());
    functions::install(connection, &FUNCTIONS, &stops)?;
    functions::count_by_rows(connection)?;
    // Hosts keep indexes of words by triggers, in which a restore writes.
    functions::keep_tables(
        connection,
        &[c"json_each", c"json_tree", c"fts3", c"fts4", c"fts5"],
    )
}

/// Has `connection`, which only reads, use no index of words: its search can't be stopped.
pub fn only_read(connection: &Connection) -> rusqlite::Result<()> {
    functions::keep_tables(connection, &[c"json_each", c"json_tree"])
}

/// Finds the number of the first character, or byte of a blob, where the second argument is in the
/// first; 0 if it is not.
fn instr(call: &Call<'_>) -> Answered {
    if call.is_null(0) || call.is_null(1) {
        return Ok(Answer::Null);
    }
    if let (Some(all), Some(part)) = (call.blob(0), call.blob(1)) {
        let found = memmem::find(all, part).map_or(0, |at| at + 1);
        return Ok(Answer::Number(found as i64));
    }
    let (Some(all), Some(part)) = (call.text(0)?, call.text(1)?) else {
        return Ok(Answer::Null);
    };
    // A part that begins within a character is found at the start only.
    let found = match part.first() {
        Some(first) if is_within(*first) => all.starts_with(part).then_some(0),
        _ => memmem::find(all, part),
    };
    let number = found.map_or(0, |at| {
        let before = all.get(1..=at).unwrap_or_default();
        1 + before.iter().filter(|byte| !is_within(**byte)).count()
    });
    Ok(Answer::Number(number as i64))
}

fn replace(call: &Call<'_>) -> Answered {
    let (Some(text), Some(part)) = (call.text(0)?, call.text(1)?) else {
        return Ok(Answer::Null);
    };
    if until_nul(part).is_empty() {
        return copy(call, text);
    }
    let Some(other) = call.text(2)? else {
        return Ok(Answer::Null);
    };
    let finder = memmem::Finder::new(part);
    let count = finder.find_iter(text).count();
    let kept = text.len() - count * part.len();
    let mut replaced = call.buffer(kept.saturating_add(count.saturating_mul(other.len())))?;
    let (mut to, mut from) = (&mut *replaced, 0);
    for at in finder.find_iter(text) {
        to = put(to, text.get(from..at));
        to = put(to, Some(other));
        from = at + part.len();
    }
    put(to, text.get(from..));
    Ok(Answer::Text(replaced))
}

fn trim(call: &Call<'_>, left: bool, right: bool) -> Answered {
    let (Some(mut text), Some(set)) = (call.text(0)?, call.text(1)?) else {
        return Ok(Answer::Null);
    };
    let set = until_nul(set);
    let find = |is_end: &dyn Fn(&[u8]) -> bool| -> Result<Option<usize>, Refusal> {
        let mut rest = set;
        while !rest.is_empty() {
            let (character, others) = rest.split_at(length(rest));
            call.effort.spend(character.len())?;
            if is_end(character) {
                return Ok(Some(character.len()));
            }
            rest = others;
        }
        Ok(None)
    };
    while left
        && !text.is_empty()
        && let Some(bytes) = find(&|end| text.starts_with(end))?
    {
        text = text.get(bytes..).unwrap_or_default();
    }
    while right
        && !text.is_empty()
        && let Some(bytes) = find(&|end| text.ends_with(end))?
    {
        text = text.get(..text.len() - bytes).unwrap_or_default();
    }
    copy(call, text)
}

/// Decodes hexadecimal digits, between whose pairs there may be characters of the second argument.
fn unhex(call: &Call<'_>) -> Answered {
    let (Some(text), Some(between)) = (call.text(0)?, call.text(1)?) else {
        return Ok(Answer::Null);
    };
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut decoded = call.buffer(text.len() / 2)?;
    let (mut rest, mut count) = (until_nul(text), 0);
    while !rest.is_empty() {
        if let Some(high) = digit(rest.first()) {
            let Some(low) = digit(rest.get(1)) else {
                return Ok(Answer::Null);
            };
            if let Some(byte) = decoded.get_mut(count) {
                *byte = (high << 4 | low) as u8;
                count += 1;
            }
            rest = rest.get(2..).unwrap_or_default();
            continue;
        }
        let (character, others) = first_of(rest, &call.effort)?;
        let mut set = between;
        while !set.is_empty() {
            let (allowed, further) = first_of(set, &call.effort)?;
            if allowed == character {
                break;
            }
            set = further;
        }
        if set.is_empty() {
            return Ok(Answer::Null);
        }
        rest = others;
    }
    decoded.truncate(count);
    Ok(Answer::Blob(decoded))
}

fn matches(call: &Call<'_>, mut wildcards: Wildcards) -> Answered {
    if let Some(escape) = call.text(2)? {
        let escape = until_nul(escape);
        if escape.is_empty() || length(escape) != escape.len() {
            return Err(Refusal::Said(
                c"ESCAPE expression must be a single character",
            ));
        }
        let (escape, _) = first_of(escape, &call.effort)?;
        wildcards = wildcards.escaped_by(escape);
    } else if call.has(2) {
        return Ok(Answer::Null);
    }
    let (Some(pattern), Some(text)) = (call.text(0)?, call.text(1)?) else {
        return Ok(Answer::Null);
    };
    let rests = Rests {
        pattern: until_nul(pattern),
        text: until_nul(text),
    };
    let is_match = wildcards.match_all(rests, &call.effort)?;
    Ok(Answer::Number(is_match.into()))
}

fn copy(call: &Call<'_>, text: &[u8]) -> Answered {
    let mut copied = call.buffer(text.len())?;
    put(&mut copied, Some(text));
    Ok(Answer::Text(copied))
}

/// Puts a part at the beginning of `to`, and gives what is left of that.
fn put<'t>(to: &'t mut [u8], part: Option<&[u8]>) -> &'t mut [u8] {
    let part = part.unwrap_or_default();
    let (start, rest) = to.split_at_mut(part.len().min(to.len()));
    start.copy_from_slice(part.get(..start.len()).unwrap_or_default());
    rest
}

#[cfg(test)]
mod tests {
    use rusqlite::types::Value;

    use super::*;

    /// Numbers that look random.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as usize % end
        }

        fn bytes(&mut self, pieces: &[&[u8]]) -> Vec<u8> {
            let count = self.below(9);
            (0..count)
                .flat_map(|_| pieces[self.below(pieces.len())].to_vec())
                .collect()
        }

        /// A value of any type; many are text, and some of that is no UTF-8. A blob of an odd size
        /// would be no text in UTF-16, and SQLite finds that behind the last character.
        fn value(&mut self) -> (Value, &'static str) {
            let few: &[&[u8]] = &[b"a", b"a", b"b"];
            let text: &[&[u8]] = &[
                b"a",
                b"A",
                b"b",
                b"%",
                b"_",
                b"*",
                b"?",
                b"[",
                b"]",
                b"^",
                b"-",
                b"a-c",
                b"0",
                b"f",
                b"F",
                "\u{e4}".as_bytes(),
                "\u{c4}".as_bytes(),
                "\u{20ac}".as_bytes(),
                "\u{1f511}".as_bytes(),
                b"\\",
            ];
            let any: &[&[u8]] = &[
                b"a",
                b"%",
                b"*",
                b"[",
                b"0",
                b"\0",
                b"\x80",
                b"\xbf",
                b"\xc3",
                b"\xa4",
                b"\xe2\x82\xac",
                b"\xff",
                b"\xfe",
                b"\xfd\x81",
                b"\xf7\xbf\xbf\xbf",
                b"\xed\xa0\x80",
            ];
            match self.below(12) {
                0 => (Value::Null, "?"),
                1 => (Value::Integer(self.below(200) as i64 - 100), "?"),
                2 => (Value::Real(self.below(100) as f64 / 8.0), "?"),
                3 => (Value::Blob(self.bytes(few).repeat(2)), "?"),
                4 => (Value::Blob(self.bytes(any).repeat(2)), "?"),
                5 | 6 => (Value::Blob(self.bytes(any)), "CAST(? AS TEXT)"),
                7 | 8 => (Value::Blob(self.bytes(few)), "CAST(? AS TEXT)"),
                _ => (Value::Blob(self.bytes(text)), "CAST(? AS TEXT)"),
            }
        }
    }

    fn connected(encoding: &str, go_on: Option<&GoOn>) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .pragma_update(None, "encoding", encoding)
            .unwrap();
        if let Some(go_on) = go_on {
            install(&connection, go_on).unwrap();
        }
        connection
    }

    fn answer(connection: &Connection, query: &str, values: &[Value]) -> String {
        let mut statement = connection.prepare_cached(query).unwrap();
        let count = statement.column_count();
        let row = statement.query_row(rusqlite::params_from_iter(values), |row| {
            let columns = (0..count).map(|column| format!("{:?}", row.get_ref(column)));
            Ok(columns.collect::<Vec<_>>().join(", "))
        });
        row.unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn functions_answer_as_those_of_sqlite() {
        let go_on: GoOn = Arc::new(|| Ok(()));
        let mut random = Random(7);
        let mut answers = std::collections::BTreeMap::<_, std::collections::BTreeSet<_>>::new();
        for encoding in ["UTF-8", "UTF-16le", "UTF-16be"] {
            let (own, ours) = (connected(encoding, None), connected(encoding, Some(&go_on)));
            for _ in 0..4_000 {
                for (name, arguments) in [
                    ("instr", 2),
                    ("replace", 3),
                    ("trim", 2),
                    ("ltrim", 2),
                    ("rtrim", 2),
                    ("unhex", 2),
                    ("like", 2),
                    ("like", 3),
                    ("glob", 2),
                ] {
                    let (values, places): (Vec<_>, Vec<_>) =
                        (0..arguments).map(|_| random.value()).unzip();
                    let places: Vec<_> = (1..)
                        .zip(places)
                        .map(|(at, place)| place.replace('?', &format!("?{at}")))
                        .collect();
                    let query = format!(
                        "SELECT {name}({}), typeof(?1), typeof(?2)",
                        places.join(", ")
                    );
                    let expected = answer(&own, &query, &values);
                    assert_eq!(
                        answer(&ours, &query, &values),
                        expected,
                        "{query} of {values:?} in {encoding}"
                    );
                    answers
                        .entry((name, arguments))
                        .or_default()
                        .insert(expected);
                }
            }
        }
        for (function, answers) in answers {
            assert!(
                answers.len() > 15,
                "{function:?} always answers {answers:?}"
            );
        }
    }

    #[test]
    fn rows_are_counted_as_by_sqlite() {
        let go_on: GoOn = Arc::new(|| Ok(()));
        let (own, ours) = (connected("UTF-8", None), connected("UTF-8", Some(&go_on)));
        for connection in [&own, &ours] {
            let rows = "CREATE TABLE t(a); INSERT INTO t VALUES (1), (1), (2), (NULL), (3)";
            connection.execute_batch(rows).unwrap();
        }
        for query in [
            "SELECT count(*) FROM t",
            "SELECT count(*) FROM t WHERE a > 9",
            "SELECT count(*) FILTER (WHERE a > 1) FROM t",
            "SELECT group_concat(n) FROM (SELECT count(*) AS n FROM t GROUP BY a)",
            "SELECT group_concat(n) FROM (SELECT count(*) OVER (ORDER BY a ROWS 1 PRECEDING) AS n FROM t)",
            "SELECT group_concat(n) FROM (SELECT count(*) OVER (PARTITION BY a) AS n FROM t)",
        ] {
            assert_eq!(
                answer(&ours, query, &[]),
                answer(&own, query, &[]),
                "{query}"
            );
        }
    }

    #[test]
    fn what_grows_too_large_is_refused() {
        let go_on: GoOn = Arc::new(|| Ok(()));
        for go_on in [None, Some(&go_on)] {
            let connection = connected("UTF-8", go_on);
            connection
                .set_limit(rusqlite::limits::Limit::SQLITE_LIMIT_LENGTH, 1000)
                .unwrap();
            let most = "SELECT length(replace(hex(zeroblob(250)), '00', 'four'))";
            assert_eq!(answer(&connection, most, &[]), "Ok(Integer(1000))");
            let more = "SELECT replace(hex(zeroblob(250)) || '1', '00', 'four')";
            assert_eq!(answer(&connection, more, &[]), "string or blob too big");
        }
    }
}
