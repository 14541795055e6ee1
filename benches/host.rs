//! A host that makes small licences up, so many that no disk need hold them: what licbak takes as a
//! store grows. See host.c.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::Outcome;
use crate::peers::Licbak;
use crate::processes::Meter;
use crate::rounds::{Figures, Step, expect_count};

/// In this order: all after the first backup need one.
const STEPS: [(Step, &str); 5] = [
    (Step::Making, "make"),
    (Step::Backup, "backup"),
    (Step::Verify, "verify"),
    (Step::RestoreOne, "one"),
    (Step::Repeat, "backup"),
];

pub fn measure(
    licbak: &Licbak,
    meter: &mut Meter,
    directory: &Path,
    licenses: u64,
    rounds: u64,
) -> Outcome<Figures> {
    let mut figures = Figures {
        licenses,
        form: None,
        costs: BTreeMap::new(),
    };
    for round in 0..rounds {
        let backup = directory.join(format!("backup-{round}"));
        fs::create_dir(&backup)?;
        for (step, word) in STEPS {
            eprintln!("{licenses} licences of a host's store: round {round}, {word}");
            let (cost, said) = meter.measure_output(&licbak.host(word, licenses, &backup))?;
            let count = match step {
                Step::RestoreOne => 1,
                _ => licenses,
            };
            expect_count("the host", &said, count)?;
            figures.note(step, cost);
        }
    }
    Ok(figures)
}
