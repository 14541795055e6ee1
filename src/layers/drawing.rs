//! Draws the layers for the README. `LICBAK_BLESS=1 cargo test --lib drawing` makes the picture anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::LAYERS;

/// A layer in the picture: its column in a grid of 12, its row, how many columns it takes, and what
/// it has.
struct Shown {
    name: &'static str,
    column: u32,
    row: u32,
    columns: u32,
    about: [&'static str; 2],
}

const fn shown(
    name: &'static str,
    (column, row, columns): (u32, u32, u32),
    about: [&'static str; 2],
) -> Shown {
    Shown {
        name,
        column,
        row,
        columns,
        about,
    }
}

/// `error` and the files without a folder are left out.
const SHOWN: [Shown; 11] = [
    shown(
        "hosts",
        (0, 0, 12),
        [
            "in C, C++, Python … c-tests/ examples-c/ python/",
            "by include/licbak.h, made from abi",
        ],
    ),
    shown(
        "abi",
        (0, 1, 12),
        ["tickets, HRESULTs, callbacks;", "no panic goes further"],
    ),
    shown(
        "engine",
        (0, 2, 12),
        [
            "operation, backup, restore, reading:",
            "how each thing goes that a host can ask for",
        ],
    ),
    shown(
        "store",
        (0, 3, 3),
        ["directories, databases,", "a host's own"],
    ),
    shown(
        "encryption",
        (3, 3, 3),
        ["the same bytes", "in an age file"],
    ),
    shown("archive", (6, 3, 3), ["the bytes", "of a backup file"]),
    shown(
        "location",
        (9, 3, 3),
        ["how a backup appears", "in a directory, a bucket"],
    ),
    shown("license", (2, 4, 3), ["what a licence", "says"]),
    shown("digest", (6, 4, 3), ["SHA-256", ""]),
    shown("sync", (0, 5, 3), ["locks, channels", ""]),
    shown("sys", (4, 5, 8), ["files, threads, memory", ""]),
];

const COLUMN: u32 = 62;
const ROW: u32 = 104;
const GAP: u32 = 10;
const HEIGHT: u32 = 66;

impl Shown {
    fn left(&self) -> u32 {
        GAP + self.column * COLUMN
    }

    fn width(&self) -> u32 {
        self.columns * COLUMN - GAP
    }

    fn top(&self) -> u32 {
        GAP + self.row * ROW
    }

    fn middle(&self) -> u32 {
        self.left() + self.width() / 2
    }
}

/// Tells whether one shown layer may use another.
fn uses(above: &str, below: &str) -> bool {
    (above, below) == ("hosts", "abi")
        || LAYERS
            .iter()
            .any(|(layer, used)| *layer == above && used.contains(&below))
}

/// Tells whether a layer uses another, and none between that uses it too.
fn has_arrow(above: &Shown, below: &Shown) -> bool {
    uses(above.name, below.name)
        && !SHOWN
            .iter()
            .any(|between| uses(above.name, between.name) && uses(between.name, below.name))
}

fn draw() -> String {
    let (width, height) = (12 * COLUMN + GAP, 5 * ROW + HEIGHT + 2 * GAP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" text-anchor=\"middle\">\n\
         <title>The layers of licbak, and which use which</title>\n\
         <marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" \
         markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#555\"/></marker>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    for above in &SHOWN {
        for below in SHOWN.iter().filter(|below| has_arrow(above, below)) {
            // Straight down where the one is above the other, else from middle to middle.
            let (left, right) = (
                above.left().max(below.left()),
                (above.left() + above.width()).min(below.left() + below.width()),
            );
            let (from, to) = match left + GAP < right {
                true => ((left + right) / 2, (left + right) / 2),
                false => (above.middle(), below.middle()),
            };
            let (top, bottom) = (above.top() + HEIGHT, below.top() - 2);
            let line = match above.row == below.row {
                true => format!(
                    "M{} {y}L{} {y}",
                    above.left() + above.width(),
                    below.left() - 2,
                    y = above.top() + HEIGHT / 2
                ),
                false => format!("M{from} {top}L{to} {bottom}"),
            };
            let _ = writeln!(
                svg,
                "<path d=\"{line}\" stroke=\"#555\" stroke-width=\"1.5\" marker-end=\"url(#head)\"/>"
            );
        }
    }
    for layer in &SHOWN {
        let (left, top, middle) = (layer.left(), layer.top(), layer.middle());
        let fill = match layer.name {
            "hosts" => "#eee",
            _ => "#dbe9f6",
        };
        let _ = writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{HEIGHT}\" rx=\"6\" fill=\"{fill}\" stroke=\"#0072b2\"/>\n\
             <text x=\"{middle}\" y=\"{}\" font-size=\"16\" font-weight=\"bold\">{}</text>",
            layer.width(),
            top + 22,
            layer.name
        );
        for (line, text) in (0..).zip(layer.about).filter(|(_, text)| !text.is_empty()) {
            let y = top + 40 + 16 * line;
            let _ = writeln!(
                svg,
                "<text x=\"{middle}\" y=\"{y}\" font-size=\"13\">{text}</text>"
            );
        }
    }
    svg + "</svg>\n"
}

#[test]
fn the_committed_drawing_is_of_these_layers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.svg");
    let drawn = draw();
    if std::env::var_os("LICBAK_BLESS").is_some() {
        fs::write(&path, drawn).unwrap();
        return;
    }
    let committed = fs::read_to_string(&path).unwrap();
    assert!(
        committed == drawn,
        "LICBAK_BLESS=1 cargo test --lib drawing makes docs/architecture.svg anew"
    );
}

#[test]
fn every_layer_with_a_folder_is_drawn() {
    let folders = LAYERS.iter().filter(|(layer, _)| !layer.ends_with(".rs"));
    for (layer, _) in folders {
        assert!(SHOWN.iter().any(|shown| shown.name == *layer), "{layer}");
    }
}
