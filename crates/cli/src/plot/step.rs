//! The picture of a training step: from left to right its layers, forward and then backward, and below each its kernel
//! calls, as wide as the time that they take.

use kiln::graph::Profile;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Picture, text};

const WIDTH: i32 = 1600;
const MARGIN: i32 = 24;
/// Heights of the title, of a row of boxes and of a line of the legend.
const TITLE: i32 = 56;
const ROW: i32 = 44;
const LINE: i32 = 26;
const LAYER: RGBColor = RGBColor(214, 217, 222);
const OTHER: RGBColor = RGBColor(170, 170, 170);
/// One for each of the kernels that take most of the time.
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

/// What to draw.
pub struct Step<'a> {
    /// Above the picture.
    pub title: &'a str,
    /// The step.
    pub profile: &'a Profile,
}

impl Picture for Step<'_> {
    fn size(&self) -> (u32, u32) {
        let legend = LINE * (COLOURS.len() as i32 + 1);
        (WIDTH as u32, (TITLE + 2 * ROW + 2 * MARGIN + legend) as u32)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        let total = self.profile.seconds().max(f64::MIN_POSITIVE);
        let title = format!("{}: {:.2} ms", self.title, total * 1e3);
        area.draw(&Text::new(title, (MARGIN, MARGIN / 2), text(26)))?;

        let of_kernels = self.profile.by_kernel().calls;
        let colour = |kernel: &str| {
            let rank = of_kernels.iter().position(|known| known.kernel == kernel);
            rank.and_then(|rank| COLOURS.get(rank)).copied().unwrap_or(OTHER)
        };
        let place = |seconds: f64| MARGIN + (f64::from(WIDTH - 2 * MARGIN) * seconds / total).round() as i32;
        for layer in self.profile.layers() {
            let ends = [layer.start, layer.start + layer.seconds].map(place);
            bar(area, ends, TITLE, LAYER, layer.scope)?;
            let mut start = layer.start;
            for call in layer.calls {
                let ends = [start, start + call.seconds].map(place);
                bar(area, ends, TITLE + ROW, colour(call.kernel), call.kernel)?;
                start += call.seconds;
            }
        }

        let mut y = TITLE + 2 * ROW + MARGIN;
        let line = |y: i32, colour: RGBColor, words: String| {
            area.draw(&Rectangle::new([(MARGIN, y), (MARGIN + 18, y + 18)], colour.filled()))?;
            area.draw(&Text::new(words, (MARGIN + 28, y), text(18)))
        };
        let words =
            |name: &str, seconds: f64| format!("{:.1} %  {name}, {:.2} ms", 100.0 * seconds / total, seconds * 1e3);
        let (first, others) = of_kernels.split_at(COLOURS.len().min(of_kernels.len()));
        for (sum, colour) in first.iter().zip(COLOURS) {
            line(y, colour, words(&format!("{} ({})", sum.kernel, sum.scope), sum.seconds))?;
            y += LINE;
        }
        if !others.is_empty() {
            line(y, OTHER, words("all others", others.iter().map(|sum| sum.seconds).sum()))?;
        }
        Ok(())
    }
}

/// A box between two places, with as much of its name as it has room for.
fn bar<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    [left, right]: [i32; 2],
    top: i32,
    colour: RGBColor,
    name: &str,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    const SIZE: i32 = 16;
    let corners = [(left, top), (right, top + ROW - 4)];
    area.draw(&Rectangle::new(corners, colour.filled()))?;
    area.draw(&Rectangle::new(corners, WHITE.stroke_width(1)))?;
    let style = text(SIZE).pos(Pos::new(HPos::Left, VPos::Center));
    let room = (right - left - 8).max(0) as u32;
    let fits = |name: &str| area.estimate_text_size(name, &style).is_ok_and(|(width, _)| width <= room);
    let cut =
        name.char_indices().map(|(end, letter)| &name[..end + letter.len_utf8()]).take_while(|part| fits(part)).last();
    match cut {
        Some(part) if part.len() >= name.len().min(4) => {
            area.draw(&Text::new(part, (left + 4, top + ROW / 2 - 2), style))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use kiln::graph::{CallTime, Timing};

    use super::*;
    use crate::plot::draw;

    #[test]
    fn a_step_is_drawn_with_its_layers_its_calls_and_a_legend() {
        let call = |scope: &str, kernel, seconds| {
            let (scope, shapes) = (scope.to_owned(), String::new());
            CallTime { scope, kernel, shapes, flops: 0, bytes: 0, seconds }
        };
        let mut calls = vec![call("conv2d", "conv2d.forward", 0.003), call("dense", "matmul.nn", 0.001)];
        let rare = ["a", "b", "c", "d", "e", "f", "g"];
        calls.extend(rare.map(|kernel| call("rest", kernel, 1e-6)));
        let profile = Profile { timing: Timing::WallClock, calls };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.svg");
        draw(&Step { title: "A step of lenet", profile: &profile }, &path).unwrap();
        let svg = std::fs::read_to_string(path).unwrap();
        let texts: Vec<&str> = svg.lines().map(str::trim).filter(|line| !line.starts_with('<')).collect();
        for text in ["A step of lenet: 4.01 ms", "conv2d", "conv2d.forward", "74.9 %  conv2d.forward (1 call), 3.00 ms"]
        {
            assert!(texts.contains(&text), "{text} in {texts:?}");
        }
        assert!(texts.contains(&"0.0 %  all others, 0.00 ms"), "{texts:?}");
        assert!(!texts.contains(&"rest"), "too narrow to be named");
    }
}
