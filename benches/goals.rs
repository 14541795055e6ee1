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

pub const PAIRS: [Pair; 20] = [
    pair("full backup / limit", Step::Backup, Step::Limit),
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
    pair("verify / SHA-256, zstd -d", Step::Verify, Step::VerifyLimit),
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
    pair(
        "full backup / making the licences",
        Step::Backup,
        Step::Making,
    ),
    pair("verify / making the licences", Step::Verify, Step::Making),
    pair(
        "restore one / making the licences",
        Step::RestoreOne,
        Step::Making,
    ),
    pair("repeat / making the licences", Step::Repeat, Step::Making),
    // What the tool that is replaced costs beyond the floor.
    pair(
        "(tar, zstd -3 -T0 / read floor)",
        Step::TarBackup,
        Step::ReadFloor,
    ),
];

/// What an operation can't do without, where that is measured: the least that any of its ratios can be.
pub fn limit(ours: Step) -> Option<Step> {
    match ours {
        Step::Backup => Some(Step::Limit),
        Step::Repeat | Step::RepeatChanged => Some(Step::StatFloor),
        Step::Verify => Some(Step::VerifyLimit),
        _ => None,
    }
}

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
    let small = find(10_000, Some(Form::Folders));
    let middle = find(100_000, Some(Form::Folders));
    let large = find(1_000_000, Some(Form::Folders));
    let flat = find(1_000_000, Some(Form::Flat));
    let host = find(1_000_000, None);
    let large_host = find(10_000_000, None);

    let over = |ours, theirs, of| Some(ratio(middle?, ours, theirs, of)?.median);
    let faster = |ours, theirs| over(ours, theirs, cpu).map(|ratio| 1.0 / ratio);
    let peak = |figures: Option<&Figures>| Some(spread(figures?, Step::Backup, peak_mib)?.most);
    let growth = |step| {
        let beyond_floor = |figures| Some(ratio(figures, step, Step::ReadFloor, cpu)?.median);
        Some(beyond_floor(large?)? / beyond_floor(middle?)?)
    };
    let host_peak = || {
        let steps = [Step::Backup, Step::Verify, Step::RestoreOne, Step::Repeat];
        let peak = |step| Some(spread(large_host?, step, peak_mib)?.most);
        steps.into_iter().filter_map(peak).reduce(f64::max)
    };
    // Without what is the host's own.
    let host_growth = || {
        let a_license = |figures: &Figures| {
            let median = |step| Some(spread(figures, step, cpu)?.median);
            Some((median(Step::Backup)? - median(Step::Making)?) / figures.licenses as f64)
        };
        Some(a_license(large_host?)? / a_license(host?)?)
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
            "full backup / limit",
            over(Step::Backup, Step::Limit, cpu),
            1.40,
            1.20,
        ),
        goal(
            "full backup / tar and zstd -3",
            over(Step::Backup, Step::TarBackup, cpu),
            0.75,
            0.62,
        ),
        wall_goal(
            "full backup / tar and zstd -3, wall",
            over(Step::Backup, Step::TarBackup, wall),
            0.65,
            0.50,
        ),
        goal(
            "bytes / those of tar and zstd -3",
            over(Step::Backup, Step::TarBackup, made),
            1.23,
            1.18,
        ),
        goal(
            "repeat, nothing changed / stat floor",
            over(Step::Repeat, Step::StatFloor, cpu),
            2.2,
            1.8,
        ),
        goal(
            "repeat, 1 % changed / stat floor",
            over(Step::RepeatChanged, Step::StatFloor, cpu),
            3.5,
            2.8,
        ),
        goal(
            "repeat, nothing changed: times faster than restic's",
            faster(Step::Repeat, Step::ResticRepeat),
            6.0,
            12.0,
        ),
        goal(
            "verify / SHA-256 and zstd -d",
            over(Step::Verify, Step::VerifyLimit, cpu),
            1.25,
            1.15,
        ),
        goal(
            "restore all, tmpfs / tar -x",
            over(Step::RestoreMemory, Step::TarRestoreMemory, cpu),
            0.85,
            0.75,
        ),
        goal(
            "restore all, disk / tar -x",
            over(Step::RestoreDisk, Step::TarRestoreDisk, cpu),
            0.85,
            0.75,
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
            15.0,
            25.0,
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
            0.9,
            0.7,
        ),
        goal(
            "peak memory, 1 million in 256 folders, MiB",
            peak(large),
            64.0,
            48.0,
        ),
        goal(
            "peak memory, 1 million in one folder, MiB",
            peak(flat),
            64.0,
            48.0,
        ),
        goal(
            "peak memory, 10 million of a host's store, MiB",
            host_peak(),
            128.0,
            64.0,
        ),
        goal(
            "CPU a licence, 1 million / 100 thousand, of the floor's growth",
            growth(Step::Backup),
            1.25,
            1.1,
        ),
        goal(
            "CPU a licence, 10 million / 1 million of a host's store",
            host_growth(),
            1.15,
            1.05,
        ),
    ]
}
