//! A diagram of a training step: from left to right its blocks of layers, forward and then backward, below them the
//! layers and their kernel calls. Widths are proportional to time.

use std::fmt::Write;

use kiln::graph::{CallTime, Profile};
use plotters::style::RGBColor;

use super::{Blocks, Picture, text};

const WIDTH: f64 = 1600.0;
const MARGIN: f64 = 24.0;
/// Heights of the title, of a row of boxes and of a line of the legend.
const TITLE: f64 = 56.0;
const ROW: f64 = 44.0;
const LINE: f64 = 26.0;
/// The font size in boxes.
const LABEL: i32 = 16;
/// Adjacent boxes narrower than this, in pixels, are merged.
const NARROW: f64 = 4.0;
/// The maximum number of lines of a tooltip.
const TOOLTIP: usize = 16;
const BLOCK: RGBColor = RGBColor(188, 194, 204);
const LAYER: RGBColor = RGBColor(214, 217, 222);
const OTHER: RGBColor = RGBColor(170, 170, 170);
/// The colours of the most expensive kernels.
const COLOURS: [RGBColor; 8] = [
    RGBColor(141, 190, 232),
    RGBColor(255, 190, 130),
    RGBColor(152, 213, 148),
    RGBColor(240, 150, 150),
    RGBColor(197, 176, 213),
    RGBColor(214, 190, 160),
    RGBColor(247, 182, 210),
    RGBColor(158, 218, 229),
];

/// The diagram to draw.
pub struct Step<'a> {
    /// The title above the diagram.
    pub title: &'a str,
    /// The step.
    pub profile: &'a Profile,
    /// The network's blocks.
    pub blocks: &'a Blocks,
}

/// A box of a row.
struct Part {
    name: String,
    /// Start, relative to the step, and duration in seconds.
    start: f64,
    seconds: f64,
    colour: RGBColor,
    /// The lines of the tooltip below the name.
    details: Vec<String>,
}

impl Picture for Step<'_> {
    fn svg(&self) -> Result<String, String> {
        let by_kernel = self.profile.by_kernel().calls;
        let total = self.profile.seconds().max(f64::MIN_POSITIVE);
        let layers = self.parts(LAYER, |call| &call.scope);
        let blocks = self.parts(BLOCK, |call| self.blocks.of(&call.scope));
        let mut rows = vec![layers, self.calls(&by_kernel)];
        if blocks.len() < rows[0].len() {
            rows.insert(0, blocks);
        }
        let lines = by_kernel.len().min(COLOURS.len() + 1) as f64;
        let below = TITLE + rows.len() as f64 * ROW + MARGIN;
        let mut svg = Document::new(WIDTH, below + lines * LINE + MARGIN / 2.0);
        svg.text([MARGIN, 38.0], 26, &format!("{}: {:.2} ms", self.title, total * 1e3));
        for (row, parts) in rows.into_iter().enumerate() {
            let top = TITLE + row as f64 * ROW;
            for part in merged(parts, total) {
                let place = |seconds: f64| MARGIN + (WIDTH - 2.0 * MARGIN) * seconds / total;
                let tooltip = format!("{}: {}", part.name, figures(part.seconds, total));
                let tooltip: Vec<String> = std::iter::once(tooltip).chain(part.details).collect();
                let ends = [part.start, part.start + part.seconds].map(place);
                svg.labelled(ends, top, part.colour, &part.name, &tooltip.join("\n"));
            }
        }
        let (first, others) = by_kernel.split_at(COLOURS.len().min(by_kernel.len()));
        let words =
            |name: &str, seconds: f64| format!("{:.1} %  {name}, {:.2} ms", 100.0 * seconds / total, seconds * 1e3);
        let mut legend: Vec<(RGBColor, String)> = first
            .iter()
            .zip(COLOURS)
            .map(|(sum, colour)| (colour, words(&format!("{} ({})", sum.kernel, sum.scope), sum.seconds)))
            .collect();
        if !others.is_empty() {
            legend.push((OTHER, words("all others", others.iter().map(|sum| sum.seconds).sum())));
        }
        for (line, (colour, words)) in legend.into_iter().enumerate() {
            let top = below + line as f64 * LINE;
            svg.rectangle([MARGIN, MARGIN + 18.0], [top, top + 18.0], colour);
            svg.text([MARGIN + 28.0, top + 15.0], 18, &words);
        }
        Ok(svg.finish())
    }
}

impl Step<'_> {
    /// A box for each run of adjacent calls with the same name.
    fn parts<'a>(&'a self, colour: RGBColor, name: impl Fn(&'a CallTime) -> &'a str) -> Vec<Part> {
        let mut parts: Vec<(usize, Part)> = Vec::new();
        let mut start = 0.0;
        for call in &self.profile.calls {
            let name = name(call);
            match parts.last_mut().filter(|(_, part)| part.name == name) {
                Some((calls, part)) => {
                    *calls += 1;
                    part.seconds += call.seconds;
                }
                None => {
                    let (name, seconds) = (name.to_owned(), call.seconds);
                    parts.push((1, Part { name, start, seconds, colour, details: Vec::new() }));
                }
            }
            start += call.seconds;
        }
        let detailed = |(calls, part): (usize, Part)| {
            let details = vec![format!("{calls} kernel call{}", if calls == 1 { "" } else { "s" })];
            Part { details, ..part }
        };
        parts.into_iter().map(detailed).collect()
    }

    /// A box for each call.
    fn calls(&self, by_kernel: &[CallTime]) -> Vec<Part> {
        let colour = |kernel: &str| {
            let rank = by_kernel.iter().position(|known| known.kernel == kernel);
            rank.and_then(|rank| COLOURS.get(rank)).copied().unwrap_or(OTHER)
        };
        let mut start = 0.0;
        let part = |call: &CallTime| {
            let rate = call.gflops().map(|rate| format!("{rate:.1} GFLOP/s, ")).unwrap_or_default();
            let details =
                vec![format!("of {}", call.scope), call.shapes.clone(), format!("{rate}{:.1} GB/s", call.gbytes())];
            let (name, colour) = (call.kernel.to_owned(), colour(call.kernel));
            let part = Part { name, start, seconds: call.seconds, colour, details };
            start += call.seconds;
            part
        };
        self.profile.calls.iter().map(part).collect()
    }
}

/// `1.25 ms, 12.5 %`
fn figures(seconds: f64, total: f64) -> String {
    format!("{:.3} ms, {:.1} %", seconds * 1e3, 100.0 * seconds / total)
}

/// Merges adjacent boxes that are too narrow.
fn merged(parts: Vec<Part>, total: f64) -> Vec<Part> {
    let narrow = |part: &Part| (WIDTH - 2.0 * MARGIN) * part.seconds / total < NARROW;
    let mut found: Vec<Part> = Vec::new();
    let mut run: Vec<Part> = Vec::new();
    for part in parts {
        if narrow(&part) {
            run.push(part);
        } else {
            found.extend(joined(std::mem::take(&mut run), total));
            found.push(part);
        }
    }
    found.extend(joined(run, total));
    found
}

/// Joins boxes to one.
fn joined(mut run: Vec<Part>, total: f64) -> Option<Part> {
    if run.len() < 2 {
        return run.pop();
    }
    let seconds: f64 = run.iter().map(|part| part.seconds).sum();
    let (start, count) = (run[0].start, run.len());
    let colour = main_colour(&run);
    run.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let details = run.iter().take(TOOLTIP).map(|part| format!("{}: {}", part.name, figures(part.seconds, total)));
    let rest = count.checked_sub(TOOLTIP).filter(|&rest| rest > 0).map(|rest| format!("and {rest} more"));
    let details = details.chain(rest).collect();
    Some(Part { name: format!("{count} together"), start, seconds, colour, details })
}

/// The colour with the most time.
fn main_colour(parts: &[Part]) -> RGBColor {
    let mut sums: Vec<(RGBColor, f64)> = Vec::new();
    for part in parts {
        match sums.iter_mut().find(|(colour, _)| *colour == part.colour) {
            Some((_, sum)) => *sum += part.seconds,
            None => sums.push((part.colour, part.seconds)),
        }
    }
    sums.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(OTHER, |(colour, _)| colour)
}

/// An SVG document.
struct Document {
    text: String,
}

impl Document {
    /// A white page.
    fn new(width: f64, height: f64) -> Document {
        let mut text = String::new();
        let _ = write!(
            text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"sans-serif\" fill=\"#3c3c3c\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        Document { text }
    }

    fn rectangle(&mut self, [left, right]: [f64; 2], [top, bottom]: [f64; 2], RGBColor(r, g, b): RGBColor) {
        let (width, height) = (right - left, bottom - top);
        let _ = writeln!(
            self.text,
            "<rect x=\"{left:.2}\" y=\"{top:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" fill=\"#{r:02x}{g:02x}{b:02x}\"/>"
        );
    }

    /// A line of text with its baseline starting at this position.
    fn text(&mut self, [x, y]: [f64; 2], size: i32, words: &str) {
        let words = escaped(words);
        let _ = writeln!(self.text, "<text x=\"{x:.2}\" y=\"{y:.2}\" font-size=\"{size}\">{words}</text>");
    }

    /// A box between two positions with a tooltip and as much of its name as fits.
    fn labelled(&mut self, [left, right]: [f64; 2], top: f64, colour: RGBColor, name: &str, tooltip: &str) {
        let _ = writeln!(self.text, "<g><title>{}</title>", escaped(tooltip));
        // A gap between adjacent boxes that leaves part of each box.
        let gap = ((right - left) / 4.0).min(1.0);
        self.rectangle([left, right - gap], [top, top + ROW - 4.0], colour);
        if let Some(label) = label(name, right - left - 8.0) {
            self.text([left + 4.0, top + ROW / 2.0 + 3.0], LABEL, &label);
        }
        self.text.push_str("</g>\n");
    }

    fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}

/// A name, truncated with an ellipsis to fit `room` pixels; nothing if fewer than three letters fit.
fn label(name: &str, room: f64) -> Option<String> {
    let font = text(LABEL).font;
    // A tenth more for viewers with a wider font.
    let fits = |words: &str| font.box_size(words).is_ok_and(|(width, _)| 1.1 * f64::from(width) <= room);
    if fits(name) {
        return Some(name.to_owned());
    }
    let ends = name.char_indices().map(|(at, _)| at).skip(3);
    ends.map(|end| format!("{}…", &name[..end])).take_while(|part| fits(part)).last()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use kiln::graph::Timing;

    use super::*;
    use crate::plot::draw;

    fn call(scope: &str, kernel: &'static str, seconds: f64) -> CallTime {
        let (scope, shapes) = (scope.to_owned(), "1x2 -> 1x3".to_owned());
        CallTime { scope, kernel, shapes, flops: 0, bytes: 0, seconds }
    }

    fn svg(calls: Vec<CallTime>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.svg");
        let profile = Profile { timing: Timing::WallClock, calls };
        let step = Step { title: "A step of <lenet>", profile: &profile, blocks: &Blocks::default() };
        draw(&step, &path).unwrap();
        draw(&step, &folder.path().join("profile.png")).unwrap(); // it is a valid document
        std::fs::read_to_string(path).unwrap()
    }

    /// The contents of the elements with a tag.
    fn inside<'a>(svg: &'a str, tag: &str) -> Vec<&'a str> {
        let [open, close] = [format!("<{tag}"), format!("</{tag}>")];
        let parts = svg.split(&open).skip(1);
        parts.filter_map(|part| part.split_once('>')?.1.split(&close).next()).collect()
    }

    #[test]
    fn a_step_is_drawn_with_its_layers_its_calls_and_a_legend() {
        let mut calls = vec![call("conv2d", "conv2d.forward", 0.003), call("dense", "matmul.nn", 0.001)];
        calls.extend(["a", "b", "c", "d", "e", "f", "g"].map(|kernel| call("rest", kernel, 1e-6)));
        let svg = svg(calls);
        let texts = inside(&svg, "text");
        for text in
            ["A step of &lt;lenet&gt;: 4.01 ms", "conv2d", "conv2d.forward", "74.9 %  conv2d.forward (1 call), 3.00 ms"]
        {
            assert!(texts.contains(&text), "{text} in {texts:?}");
        }
        assert!(texts.contains(&"0.0 %  all others, 0.00 ms"), "{texts:?}");
        assert!(!texts.contains(&"rest"), "too narrow to be named");
        let titles = inside(&svg, "title");
        assert!(titles.contains(&"matmul.nn: 1.000 ms, 25.0 %\nof dense\n1x2 -&gt; 1x3\n0.0 GB/s"), "{titles:?}");
        assert!(titles.iter().any(|title| title.starts_with("7 together: 0.007 ms, 0.2 %\na: 0.001 ms")), "{titles:?}");
    }

    #[test]
    fn neighbours_too_narrow_to_be_seen_are_one_box() {
        let many = (0..700).map(|number| call(&format!("layer{number}"), "a", if number == 300 { 1.0 } else { 1e-4 }));
        let svg = svg(many.collect());
        let titles = inside(&svg, "title");
        assert_eq!(titles.len(), 2 * 3, "before, the wide one, and behind, in two rows: {titles:?}");
        assert!(titles[0].starts_with("300 together") && titles[0].ends_with("\nand 284 more"), "{titles:?}");
    }

    #[test]
    fn boxes_that_are_joined_have_the_colour_of_the_kernel_that_takes_most_of_them() {
        let mut calls = vec![call("wide", "conv2d.forward", 1.0)];
        calls.extend([("a", 1e-4), ("b", 2e-4), ("a", 1.5e-4)].map(|(kernel, seconds)| call("rest", kernel, seconds)));
        let svg = svg(calls);
        let joined = svg.split("<title>3 together").nth(1).unwrap();
        let fill = joined.split_once("fill=\"").unwrap().1.split_once('"').unwrap().0;
        let RGBColor(r, g, b) = COLOURS[1];
        assert_eq!(fill, format!("#{r:02x}{g:02x}{b:02x}"), "that of `a`, the second in the legend");
    }

    #[test]
    fn a_name_that_is_cut_ends_in_an_ellipsis() {
        crate::plot::register_fonts();
        assert_eq!(label("conv2d", 500.0).as_deref(), Some("conv2d"));
        let cut = label("batch_normalization_93", 80.0).unwrap();
        assert!(cut.starts_with("batch") && cut.ends_with('…'), "{cut}");
        assert_eq!(label("batch_normalization_93", 10.0), None);
    }
}
