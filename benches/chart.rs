//! The cost of a licence against the size of the store, drawn as SVG.

use std::fmt::Write as _;

use crate::corpus::Form;
use crate::goals;
use crate::rounds::{Figures, Step};
use crate::table::grouped;

struct Line {
    name: &'static str,
    step: Step,
    color: &'static str,
    dashes: &'static str,
}

const fn line(name: &'static str, step: Step, color: &'static str, dashes: &'static str) -> Line {
    Line {
        name,
        step,
        color,
        dashes,
    }
}

/// What a user would pick instead is dashed.
const DASHED: &str = "6 4";
const LINES: [Line; 10] = [
    line("restic, repeat", Step::ResticRepeat, "#999999", DASHED),
    line("tar, zstd -3", Step::TarBackup, "#d55e00", DASHED),
    line("full backup", Step::Backup, "#0072b2", ""),
    line("limit of a full backup", Step::Limit, "#000000", "1 3"),
    line("restore all, tmpfs", Step::RestoreMemory, "#009e73", ""),
    line("repeat, 1 % changed", Step::RepeatChanged, "#cc79a7", ""),
    line("repeat, nothing changed", Step::Repeat, "#7b3294", ""),
    line("verify", Step::Verify, "#b8860b", ""),
    line("tar -t", Step::TarList, "#d55e00", "2 4"),
    line("list", Step::List, "#56b4e9", ""),
];

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 460.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 560.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 400.0;
/// Space that a label needs.
const LABEL: f64 = 15.0;

/// Logarithmic axes.
struct Axes {
    licenses: (f64, f64),
    cost: (f64, f64),
}

impl Axes {
    fn x(&self, licenses: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * share(licenses, self.licenses)
    }

    fn y(&self, cost: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * share(cost, self.cost)
    }
}

fn share(value: f64, (from, to): (f64, f64)) -> f64 {
    (value / from).ln() / (to / from).ln()
}

/// CPU of each step, in that of the read floor on the same store: what a licence costs where the
/// floor costs 1. None where there is but one size.
pub fn draw(all: &[Figures]) -> Option<String> {
    let sizes: Vec<&Figures> = all
        .iter()
        .filter(|figures| figures.form == Some(Form::Folders))
        .collect();
    let lines: Vec<(&Line, Vec<(f64, f64)>)> = LINES
        .iter()
        .map(|line| (line, points(&sizes, line.step)))
        .filter(|(_, points)| points.len() > 1)
        .collect();
    let costs = || {
        lines
            .iter()
            .flat_map(|(_, points)| points.iter().map(|(_, cost)| *cost))
    };
    let axes = Axes {
        licenses: (
            sizes.first()?.licenses as f64,
            sizes.last()?.licenses as f64,
        ),
        cost: (
            10_f64.powf(costs().reduce(f64::min)?.log10().floor()),
            10_f64.powf(costs().reduce(f64::max)?.log10().ceil()),
        ),
    };
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">CPU of a licence, where opening, reading and closing its file costs 1</text>"
    );
    draw_grid(&mut svg, &axes, &sizes);
    draw_lines(&mut svg, &axes, &lines);
    svg.push_str("</svg>\n");
    Some(svg)
}

fn points(sizes: &[&Figures], step: Step) -> Vec<(f64, f64)> {
    let point = |figures: &&Figures| {
        let ratio = goals::ratio(figures, step, Step::ReadFloor, goals::cpu)?;
        Some((figures.licenses as f64, ratio.median))
    };
    sizes.iter().filter_map(point).collect()
}

fn draw_grid(svg: &mut String, axes: &Axes, sizes: &[&Figures]) {
    let (mut cost, most) = axes.cost;
    while cost <= most * 1.01 {
        let y = axes.y(cost);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {y:.0}H{RIGHT}\" stroke=\"{}\"/><text x=\"{}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>",
            if (cost - 1.0).abs() < 0.01 {
                "#444444"
            } else {
                "#dddddd"
            },
            LEFT - 8.0,
            y + 4.0,
            (cost * 1e4).round() / 1e4
        );
        cost *= 10.0;
    }
    for figures in sizes {
        let x = axes.x(figures.licenses as f64);
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.0} {TOP}V{BOTTOM}\" stroke=\"#dddddd\"/><text x=\"{x:.0}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            BOTTOM + 20.0,
            grouped(figures.licenses)
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">licences in the store</text>",
        f64::midpoint(LEFT, RIGHT),
        BOTTOM + 44.0
    );
}

fn draw_lines(svg: &mut String, axes: &Axes, lines: &[(&Line, Vec<(f64, f64)>)]) {
    let mut labels = Vec::new();
    for (line, points) in lines {
        let path: Vec<String> = points
            .iter()
            .map(|(licenses, cost)| format!("{:.1} {:.1}", axes.x(*licenses), axes.y(*cost)))
            .collect();
        let _ = writeln!(
            svg,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\" stroke-dasharray=\"{}\"/>",
            path.join("L"),
            line.color,
            line.dashes
        );
        if let Some((licenses, cost)) = points.last() {
            labels.push((axes.y(*cost), axes.x(*licenses), line));
        }
    }
    // Labels of lines that end at nearly the same height are moved apart.
    labels.sort_by(|(a, ..), (b, ..)| a.total_cmp(b));
    let mut lowest = f64::MIN;
    for (y, x, line) in labels {
        lowest = y.max(lowest + LABEL);
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\" fill=\"{}\">{}</text>",
            x + 8.0,
            lowest + 4.0,
            line.color,
            line.name
        );
    }
}
