//! Learning curves: figures over the epochs, two panels per row.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::{Picture, on_white, text};

/// Width of the picture and height of a row of panels, in pixels.
const SIZE: (u32, u32) = (1440, 600);
/// The number of panels per row.
const COLUMNS: usize = 2;
/// The height of a panel's title and legend, above its axes.
const HEAD: i32 = 68;
/// The font sizes of a panel's title and legend.
const LETTERS: [i32; 2] = [24, 20];
/// The length of a line in the legend, in pixels.
const KEY: i32 = 36;
/// The largest number of points for which a curve has markers.
const MARKED: usize = 40;
const TRAIN: RGBColor = RGBColor(31, 119, 180);
const VALIDATION: RGBColor = RGBColor(255, 127, 14);
const GRID: RGBColor = RGBColor(225, 225, 225);
/// The margin around the curves, as a share of their range.
const MARGIN: f64 = 0.06;

/// The figure to draw.
#[derive(Clone, Debug, Default)]
pub struct Curves {
    /// The title above all panels.
    pub title: String,
    /// From left to right, then below.
    pub panels: Vec<Panel>,
}

/// A figure over the epochs.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Its name.
    pub name: String,
    /// One value per epoch.
    pub train: Vec<f64>,
    /// One value per epoch, or none.
    pub validation: Vec<f64>,
    /// The upper bound of the values.
    pub most: f64,
}

/// A curve of a panel.
struct Series<'a> {
    label: &'static str,
    values: &'a [f64],
    colour: RGBColor,
}

impl Series<'_> {
    fn is_marked(&self) -> bool {
        self.values.len() <= MARKED
    }
}

impl Picture for Curves {
    fn svg(&self) -> Result<String, String> {
        let (columns, rows) = (self.panels.len().clamp(1, COLUMNS), self.panels.len().div_ceil(COLUMNS).max(1));
        on_white((SIZE.0, SIZE.1 * rows as u32), |area| {
            let area = area.margin(20, 0, 0, 0).titled(&self.title, text(30))?;
            let places = area.split_evenly((rows, columns));
            self.panels.iter().zip(&places).try_for_each(|(panel, place)| panel.draw(place))
        })
    }
}

impl Panel {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        let series = self.series();
        let epochs = self.train.len().max(1) as f64;
        let pad = (epochs - 1.0).max(1.0) * MARGIN / 2.0;
        let x = Axis::new(1.0 - pad..epochs + pad, [1.0, epochs], 10, 1.0);
        let y = span(self.train.iter().chain(&self.validation));
        let ticks = [y.start, y.end.min(self.most)];
        let y = Axis::new(y, ticks, 8, 0.0);

        let mut chart = ChartBuilder::on(area)
            .margin(16)
            .margin_top(HEAD)
            .margin_right(28)
            .x_label_area_size(56)
            .y_label_area_size(84)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(super::INK)
            .label_style(text(20))
            .axis_desc_style(text(22))
            .x_desc("epoch")
            .y_desc(&self.name)
            .draw()?;
        for Series { values, colour, .. } in &series {
            let points = || (1..).map(f64::from).zip(values.iter().copied()).filter(|(_, value)| value.is_finite());
            chart.draw_series(LineSeries::new(points(), colour.stroke_width(3)))?;
            if values.len() <= MARKED {
                chart.draw_series(points().map(|point| Circle::new(point, 5, colour.filled())))?;
            }
        }
        let (axes, all) = (chart.plotting_area().get_pixel_range().0, area.get_pixel_range().0);
        self.head(area, (axes.start + axes.end) / 2 - all.start, &series)
    }

    /// The curves with points.
    fn series(&self) -> Vec<Series<'_>> {
        let train = Series { label: "train", values: &self.train, colour: TRAIN };
        let validation = Series { label: "validation", values: &self.validation, colour: VALIDATION };
        [train, validation].into_iter().filter(|series| !series.values.is_empty()).collect()
    }

    /// Draws the title, and the legend below it, centred above the axes.
    fn head<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        middle: i32,
        series: &[Series<'_>],
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        let [title, letters] = LETTERS.map(text);
        let what = if self.validation.is_empty() { "Training" } else { "Training and validation" };
        let words = format!("{what} {}", self.name);
        area.draw(&Text::new(words, (middle, 8), title.pos(Pos::new(HPos::Center, VPos::Top))))?;

        let (gap, space) = (8, 28);
        let width = |series: &Series<'_>| {
            let words = letters.font.box_size(series.label).map_or(100, |(width, _)| width as i32);
            KEY + gap + words
        };
        let all: i32 = series.iter().map(width).sum::<i32>() + space * (series.len() as i32 - 1).max(0);
        let (mut x, y) = (middle - all / 2, HEAD - 18);
        let beside = letters.pos(Pos::new(HPos::Left, VPos::Center));
        for series in series {
            area.draw(&PathElement::new([(x, y), (x + KEY, y)], series.colour.stroke_width(3)))?;
            if series.is_marked() {
                area.draw(&Circle::new((x + KEY / 2, y), 5, series.colour.filled()))?;
            }
            area.draw(&Text::new(series.label, (x + KEY + gap, y), beside.clone()))?;
            x += width(series) + space;
        }
        Ok(())
    }
}

/// The range of the values with a margin, but not below 0.
fn span<'a>(values: impl Iterator<Item = &'a f64>) -> Range<f64> {
    let finite = values.copied().filter(|value| value.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return 0.0..1.0;
    }
    let pad = if high > low { (high - low) * MARGIN } else { high.abs().max(0.01) * MARGIN };
    (low - pad).max(0.0)..high + pad
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::path::Path;

    use super::*;
    use crate::plot::draw;

    fn curves(epochs: usize) -> Curves {
        let curve = |from: f64, to: f64, speed: f64| -> Vec<f64> {
            (0..epochs).map(|epoch| to + (from - to) * (-speed * epoch as f64).exp()).collect()
        };
        let panel = |name: &str, train, validation, most| Panel { name: name.to_owned(), train, validation, most };
        let accuracy = panel("accuracy", curve(0.93, 0.9995, 0.4), curve(0.97, 0.99, 0.5), 1.0);
        let loss = panel("loss", curve(0.23, 0.002, 0.4), curve(0.09, 0.04, 0.5), f64::INFINITY);
        Curves { title: "lenet on mnist".to_owned(), panels: vec![accuracy, loss] }
    }

    fn svg(curves: &Curves) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.svg");
        draw(curves, &path).unwrap();
        std::fs::read_to_string(path).unwrap()
    }

    fn texts(svg: &str) -> Vec<&str> {
        svg.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('<')).collect()
    }

    #[test]
    fn a_picture_has_titles_axes_and_legends() {
        let svg = svg(&curves(20));
        let texts = texts(&svg);
        for text in ["lenet on mnist", "Training and validation accuracy", "Training and validation loss"] {
            assert_eq!(texts.iter().filter(|&&found| found == text).count(), 1, "{text} in {texts:?}");
        }
        for text in ["epoch", "train", "validation"] {
            assert_eq!(texts.iter().filter(|&&found| found == text).count(), 2, "{text} in {texts:?}");
        }
    }

    #[test]
    fn a_single_epoch_is_a_point_for_each_curve() {
        let svg = svg(&curves(1));
        assert_eq!(svg.matches("<circle").count(), 4 + 4, "two curves and two legend keys in each panel");
    }

    #[test]
    fn values_that_are_no_numbers_are_left_out() {
        let mut curves = curves(3);
        curves.panels[1].train = vec![f64::NAN; 3];
        curves.panels[1].validation[1] = f64::INFINITY;
        assert_eq!(svg(&curves).matches("<circle").count(), 3 + 3 + 2 + 4);
        svg(&Curves::default());
    }

    #[test]
    fn without_validation_there_is_one_curve() {
        let mut curves = curves(3);
        curves.panels.iter_mut().for_each(|panel| panel.validation.clear());
        let svg = svg(&curves);
        let texts = texts(&svg);
        assert!(!texts.iter().any(|text| text.contains("validation")), "{texts:?}");
        assert!(texts.contains(&"Training accuracy") && texts.contains(&"Training loss"), "{texts:?}");
    }

    #[test]
    fn a_single_panel_is_as_wide_as_the_picture_and_a_third_one_is_below() {
        let lowest = |panels: usize| {
            let mut curves = curves(3);
            let loss = curves.panels[1].clone();
            curves.panels = vec![loss; panels];
            let svg = svg(&curves);
            let places = svg.split("<circle cx=\"").skip(1).map(|rest| {
                let (x, rest) = rest.split_once('"').unwrap();
                let y = rest.split_once("cy=\"").unwrap().1.split_once('"').unwrap().0;
                (x.parse::<u32>().unwrap(), y.parse::<u32>().unwrap())
            });
            places.fold((0, 0), |(right, low), (x, y)| (right.max(x), low.max(y)))
        };
        let ([one, two, three], width) = ([1, 2, 3].map(lowest), SIZE.0);
        assert!(one.0 > width * 9 / 10 && one.1 < SIZE.1, "{one:?}");
        assert!(two.0 > width * 9 / 10 && two.1 < SIZE.1, "{two:?}");
        assert!(three.1 > SIZE.1, "{three:?}");
    }

    #[test]
    fn many_points_are_a_line_without_marks() {
        assert_eq!(svg(&curves(MARKED)).matches("<circle").count(), 4 * MARKED + 4);
        let many = svg(&curves(MARKED + 1));
        assert_eq!((many.matches("<circle").count(), texts(&many).contains(&"validation")), (0, true));
    }

    #[test]
    fn a_png_has_the_size_of_the_picture_and_needs_no_font_of_the_system() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.png");
        draw(&curves(5), &path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!((&bytes[1..4], number(16), number(20)), (&b"PNG"[..], SIZE.0, SIZE.1));
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_that_names_it() {
        let error = draw(&curves(1), Path::new("/no/such/folder/history.png")).unwrap_err();
        assert_eq!(error.to_string(), "cannot write a file in /no/such/folder");
    }
}
