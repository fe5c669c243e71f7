//! The picture of a training: accuracy and loss over the epochs, side by side.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::axis::Axis;
use super::{Picture, on_white, text};

/// Width and height of the picture in pixels.
const SIZE: (u32, u32) = (1440, 600);
const TRAIN: RGBColor = RGBColor(31, 119, 180);
const VALIDATION: RGBColor = RGBColor(255, 127, 14);
const GRID: RGBColor = RGBColor(225, 225, 225);
/// Empty beside the curves, as a share of what they span.
const MARGIN: f64 = 0.06;

/// What to draw.
#[derive(Clone, Debug, Default)]
pub struct Curves {
    /// Above both panels.
    pub title: String,
    /// One value per epoch.
    pub accuracy: Vec<f64>,
    /// One value per epoch, or none.
    pub val_accuracy: Vec<f64>,
    /// One value per epoch.
    pub loss: Vec<f64>,
    /// One value per epoch, or none.
    pub val_loss: Vec<f64>,
}

impl Picture for Curves {
    fn svg(&self) -> Result<String, String> {
        on_white(SIZE, |area| {
            let area = area.margin(20, 0, 0, 0).titled(&self.title, text(30))?;
            let (left, right) = area.split_horizontally(SIZE.0 / 2);
            let accuracy = Panel { name: "accuracy", most: 1.0, legend: SeriesLabelPosition::LowerRight };
            let loss = Panel { name: "loss", most: f64::INFINITY, legend: SeriesLabelPosition::UpperRight };
            accuracy.draw(&left, [&self.accuracy, &self.val_accuracy])?;
            loss.draw(&right, [&self.loss, &self.val_loss])
        })
    }
}

/// One half of the picture.
struct Panel {
    name: &'static str,
    /// The largest value that there can be.
    most: f64,
    legend: SeriesLabelPosition,
}

impl Panel {
    fn draw<B: DrawingBackend>(
        self,
        area: &DrawingArea<B, Shift>,
        series: [&[f64]; 2],
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        let epochs = series[0].len().max(1) as f64;
        let pad = (epochs - 1.0).max(1.0) * MARGIN / 2.0;
        let x = Axis::new(1.0 - pad..epochs + pad, [1.0, epochs], 10, 1.0);
        let y = span(series[0].iter().chain(series[1]));
        let ticks = [y.start, y.end.min(self.most)];
        let y = Axis::new(y, ticks, 8, 0.0);

        let mut chart = ChartBuilder::on(area)
            .caption(format!("Training and validation {}", self.name), text(24))
            .margin(16)
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
            .y_desc(self.name)
            .draw()?;

        for (values, label, colour) in [(series[0], "train", TRAIN), (series[1], "validation", VALIDATION)] {
            if values.is_empty() {
                continue;
            }
            let points = || (1..).map(f64::from).zip(values.iter().copied()).filter(|(_, value)| value.is_finite());
            chart.draw_series(LineSeries::new(points(), colour.stroke_width(3)))?;
            chart.draw_series(points().map(|point| Circle::new(point, 5, colour.filled())))?.label(label).legend(
                move |place| {
                    let line = PathElement::new([(0, 0), (36, 0)], colour.stroke_width(3));
                    EmptyElement::at(place) + line + Circle::new((18, 0), 5, colour.filled())
                },
            );
        }
        chart
            .configure_series_labels()
            .position(self.legend)
            .margin(16)
            .legend_area_size(44)
            .label_font(text(20))
            .background_style(WHITE.mix(0.85))
            .border_style(GRID)
            .draw()
    }
}

/// From the smallest to the largest of the values and a little more, but not below 0.
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
        Curves {
            title: "lenet on mnist".to_owned(),
            accuracy: curve(0.93, 0.9995, 0.4),
            val_accuracy: curve(0.97, 0.99, 0.5),
            loss: curve(0.23, 0.002, 0.4),
            val_loss: curve(0.09, 0.04, 0.5),
        }
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
        curves.loss = vec![f64::NAN; 3];
        curves.val_loss[1] = f64::INFINITY;
        assert_eq!(svg(&curves).matches("<circle").count(), 3 + 3 + 2 + 4);
        svg(&Curves::default());
    }

    #[test]
    fn without_validation_there_is_one_curve() {
        let curves = Curves { val_accuracy: vec![], val_loss: vec![], ..curves(3) };
        assert!(!texts(&svg(&curves)).contains(&"validation"));
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
