//! What is set beside what, and how good it has to be.

use crate::corpus::Form;
use crate::processes::Cost;
use crate::rounds::{Figures, Step};

/// licbak and what a user would pick instead.
pub struct Pair {
    pub name: &'static str,
    pub ours: Step,
    pub theirs: Step,
}

const fn pair(name: &'static str, ours: Step, theirs: Step) -> Pair {
    Pair { name, ours, theirs }
}

pub const PAIRS: [Pair; 14] = [
    pair("full backup / read floor", Step::Backup, Step::ReadFloor),
    pair(
        "full backup / tar, zstd -3 -T0",
        Step::Backup,
        Step::TarBackup,
    ),
    pair(
        "repeat, nothing changed / stat floor",
        Step::Repeat,
        Step::StatFloor,
    ),
    pair(
        "repeat, 1 % changed / stat floor",
        Step::RepeatChanged,
        Step::StatFloor,
    ),
    pair(
        "repeat, nothing changed / restic's",
        Step::Repeat,
        Step::ResticRepeat,
    ),
    pair("verify / zstd -t", Step::Verify, Step::ZstdTest),
    pair(
        "restore all, tmpfs / tar -x",
        Step::RestoreMemory,
        Step::TarRestoreMemory,
    ),
    pair(
        "restore all, disk / tar -x",
        Step::RestoreDisk,
        Step::TarRestoreDisk,
    ),
    pair(
        "restore one / tar -xO one",
        Step::RestoreOne,
        Step::TarRestoreOne,
    ),
    pair("list / tar -t", Step::List, Step::TarList),
    pair("a getter / clock_gettime", Step::Getter, Step::Clock),
    pair(
        "telling progress / its backup",
        Step::Telling,
        Step::ToldBackup,
    ),
    pair(
        "SQLite, full backup / VACUUM INTO, zstd -3",
        Step::DatabaseBackup,
        Step::Vacuum,
    ),
    // What the tool that is replaced costs beyond the floor.
    pair(
        "(tar, zstd -3 -T0 / read floor)",
        Step::TarBackup,
        Step::ReadFloor,
    ),
];

/// Minimum, median and maximum.
#[derive(Clone, Copy)]
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub most: f64,
}

impl Spread {
    pub fn of(mut values: Vec<f64>) -> Option<Spread> {
        values.sort_by(f64::total_cmp);
        Some(Spread {
            least: *values.first()?,
            median: *values.get(values.len() / 2)?,
            most: *values.last()?,
        })
    }
}

/// The quotients of two steps, round by round.
pub fn ratio(figures: &Figures, ours: Step, theirs: Step, of: fn(&Cost) -> f64) -> Option<Spread> {
    let pairs = figures.of(ours).iter().zip(figures.of(theirs));
    Spread::of(pairs.map(|(ours, theirs)| of(ours) / of(theirs)).collect())
}

pub fn spread(figures: &Figures, step: Step, of: fn(&Cost) -> f64) -> Option<Spread> {
    Spread::of(figures.of(step).iter().map(of).collect())
}

pub fn cpu(cost: &Cost) -> f64 {
    cost.cpu
}

pub fn wall(cost: &Cost) -> f64 {
    cost.wall
}

pub fn made(cost: &Cost) -> f64 {
    cost.made as f64
}

pub fn peak_mib(cost: &Cost) -> f64 {
    cost.peak as f64 / f64::from(1 << 20)
}

/// A figure that has a bound.
pub struct Goal {
    pub name: &'static str,
    pub value: Option<f64>,
    pub must: f64,
    pub aim: f64,
    pub is_wall: bool,
}

impl Goal {
    /// A goal is a bound from above, unless its aim is higher than what must be.
    pub fn meets(value: f64, bound: f64, goal: &Goal) -> bool {
        match goal.must < goal.aim {
            true => value >= bound,
            false => value <= bound,
        }
    }
}

pub fn judge(all: &[Figures]) -> Vec<Goal> {
    let find = |licenses, form| {
        all.iter()
            .find(|figures| (figures.licenses, figures.form) == (licenses, form))
    };
    let small = find(10_000, Form::Folders);
    let middle = find(100_000, Form::Folders);
    let large = find(1_000_000, Form::Folders);
    let flat = find(1_000_000, Form::Flat);

    let over = |ours, theirs, of| Some(ratio(middle?, ours, theirs, of)?.median);
    let faster = |ours, theirs| over(ours, theirs, cpu).map(|ratio| 1.0 / ratio);
    let peak = |figures: Option<&Figures>| Some(spread(figures?, Step::Backup, peak_mib)?.most);
    let growth = |step| {
        let beyond_floor = |figures| Some(ratio(figures, step, Step::ReadFloor, cpu)?.median);
        Some(beyond_floor(large?)? / beyond_floor(middle?)?)
    };
    let one = |figures: Option<&Figures>, of| Some(spread(figures?, Step::RestoreOne, of)?.median);
    let one_call = |step| Some(spread(middle?, step, cpu)?.median);
    let one_growth = || Some(one(large, cpu)? / one(small, cpu)?);

    let goal = |name, value, must, aim| Goal {
        name,
        value,
        must,
        aim,
        is_wall: false,
    };
    let wall_goal = |name, value, must, aim| Goal {
        name,
        value,
        must,
        aim,
        is_wall: true,
    };
    vec![
        goal(
            "full backup / read floor",
            over(Step::Backup, Step::ReadFloor, cpu),
            3.5,
            2.6,
        ),
        goal(
            "full backup / tar and zstd -3",
            over(Step::Backup, Step::TarBackup, cpu),
            0.70,
            0.55,
        ),
        wall_goal(
            "full backup / tar and zstd -3, wall",
            over(Step::Backup, Step::TarBackup, wall),
            0.70,
            0.50,
        ),
        goal(
            "bytes / those of tar and zstd -3",
            over(Step::Backup, Step::TarBackup, made),
            1.30,
            1.20,
        ),
        goal(
            "repeat, nothing changed / stat floor",
            over(Step::Repeat, Step::StatFloor, cpu),
            3.5,
            2.0,
        ),
        goal(
            "repeat, 1 % changed / stat floor",
            over(Step::RepeatChanged, Step::StatFloor, cpu),
            4.0,
            2.5,
        ),
        goal(
            "repeat, nothing changed: times faster than restic's",
            faster(Step::Repeat, Step::ResticRepeat),
            6.0,
            12.0,
        ),
        goal(
            "verify / zstd -t",
            over(Step::Verify, Step::ZstdTest, cpu),
            2.2,
            1.7,
        ),
        goal(
            "restore all, tmpfs / tar -x",
            over(Step::RestoreMemory, Step::TarRestoreMemory, cpu),
            1.2,
            0.9,
        ),
        goal(
            "restore all, disk / tar -x",
            over(Step::RestoreDisk, Step::TarRestoreDisk, cpu),
            1.1,
            0.8,
        ),
        goal(
            "restore one, ms",
            one(middle, cpu).map(|seconds| seconds * 1e3),
            15.0,
            6.0,
        ),
        goal(
            "restore one, of 1 million / of 10 thousand",
            one_growth(),
            1.5,
            1.2,
        ),
        goal(
            "list: times faster than tar -t",
            faster(Step::List, Step::TarList),
            6.0,
            15.0,
        ),
        goal(
            "a getter, ns",
            one_call(Step::Getter).map(|seconds| seconds * 1e9),
            100.0,
            100.0,
        ),
        // It is told as time passes: a busy machine has more of it for the same backup.
        wall_goal(
            "telling progress / its backup",
            over(Step::Telling, Step::ToldBackup, cpu),
            0.001,
            0.001,
        ),
        goal(
            "SQLite, full backup / VACUUM INTO and zstd -3",
            over(Step::DatabaseBackup, Step::Vacuum, cpu),
            0.6,
            0.4,
        ),
        goal(
            "peak memory, 1 million in 256 folders, MiB",
            peak(large),
            80.0,
            56.0,
        ),
        goal(
            "peak memory, 1 million in one folder, MiB",
            peak(flat),
            160.0,
            112.0,
        ),
        goal(
            "CPU a licence, 1 million / 100 thousand, of the floor's growth",
            growth(Step::Backup),
            1.25,
            1.1,
        ),
    ]
}
