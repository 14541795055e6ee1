//! The figures as tables, in Markdown.

use crate::corpus::Form;
use crate::goals::{self, Goal, PAIRS, Pair, Spread};
use crate::rounds::{Figures, Step};

pub fn print_pairs(figures: &Figures) {
    println!(
        "\n{} licences in {}\n",
        grouped(figures.licenses),
        figures.form.map_or("a host's store", Form::word)
    );
    println!("| licbak / instead | CPU | limit / instead | wall | CPU, s | peak, MiB | made, MB |");
    println!("|---|---|---|---|---|---|---|");
    for pair in &PAIRS {
        print_pair(figures, pair);
    }
}

fn print_pair(figures: &Figures, pair: &Pair) {
    let ratio = |of| goals::ratio(figures, pair.ours, pair.theirs, of);
    let (Some(cpu), Some(wall)) = (ratio(goals::cpu), ratio(goals::wall)) else {
        return;
    };
    let median = |step, of| goals::spread(figures, step, of).map_or(0.0, |spread| spread.median);
    // Nothing, where that is not measured.
    let both = |of, scale: f64| match median(pair.theirs, of) > 0.0 {
        true => [pair.ours, pair.theirs]
            .map(|step| number(median(step, of) * scale))
            .join(" / "),
        false => String::new(),
    };
    let wall = match wall.median.is_finite() {
        true => shown(wall),
        false => String::new(),
    };
    let limit = goals::limit(pair.ours)
        .and_then(|limit| goals::ratio(figures, limit, pair.theirs, goals::cpu))
        .map_or(String::new(), |ratio| number(ratio.median));
    println!(
        "| {} | {} | {limit} | {wall} | {} | {} | {} |",
        pair.name,
        shown(cpu),
        both(goals::cpu, 1.0),
        both(goals::peak_mib, 1.0),
        both(goals::made, 1e-6),
    );
}

/// What licbak can't do without: the parts, as shares of their sum, and what it takes beyond.
pub fn print_limits(figures: &Figures) {
    let parts = [
        ("every file opened, read and closed", Step::ReadFloor),
        ("SHA-256 of the contents", Step::Digest),
        ("zstd of the frames", Step::Compress),
        ("writing and syncing the file", Step::Write),
    ];
    print_parts(figures, "full backup", Step::Backup, Step::Limit, &parts);
    let parts = [
        ("SHA-256 of the contents and frames", Step::VerifyDigest),
        ("zstd -d of the frames, read from the file", Step::Unpack),
    ];
    print_parts(figures, "verify", Step::Verify, Step::VerifyLimit, &parts);
}

fn print_parts(figures: &Figures, name: &str, ours: Step, limit: Step, parts: &[(&str, Step)]) {
    let percent = |step| {
        let ratio = goals::ratio(figures, step, limit, goals::cpu);
        ratio.map(|ratio| ratio.median * 100.0)
    };
    let Some(all) = percent(ours) else { return };
    println!("\n| {name}: part of the limit | CPU |");
    println!("|---|---|");
    for (part, step) in parts {
        println!("| {part} | {:.0} % |", percent(*step).unwrap_or_default());
    }
    println!("| beyond it | {:+.0} % |", all - 100.0);
}

pub fn print_goals(goals: &[Goal], share_of_others: f64) {
    println!(
        "\n| goal (CPU at 100,000 licences, unless it says otherwise) | measured | must | aim | |"
    );
    println!("|---|---|---|---|---|");
    for goal in goals {
        let Some(value) = goal.value else {
            continue;
        };
        let sign = if goal.must < goal.aim { "≥" } else { "≤" };
        println!(
            "| {} | {} | {sign} {} | {sign} {} | {} |",
            goal.name,
            number(value),
            goal.must,
            goal.aim,
            verdict(goal, value, share_of_others)
        );
    }
}

/// Of a machine that others use too, wall times say nothing.
const QUIET: f64 = 0.10;

fn verdict(goal: &Goal, value: f64, share_of_others: f64) -> &'static str {
    if goal.is_wall && share_of_others > QUIET {
        "not judged: the machine was busy"
    } else if Goal::meets(value, goal.aim, goal) {
        "aim met"
    } else if Goal::meets(value, goal.must, goal) {
        "met"
    } else {
        "**missed**"
    }
}

pub fn shown(spread: Spread) -> String {
    let Spread {
        least,
        median,
        most,
    } = spread;
    format!(
        "**{}** ({}–{})",
        number(median),
        number(least),
        number(most)
    )
}

/// Three digits, or all before the point.
pub fn number(value: f64) -> String {
    match value {
        ..0.1 => format!("{value:.4}"),
        0.1..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// "100,000"
pub fn grouped(number: u64) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1000), number % 1000),
    }
}
