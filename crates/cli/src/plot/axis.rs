//! An axis with round ticks.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;

/// A linear axis with its ticks and their number of decimals.
pub struct Axis {
    range: Range<f64>,
    ticks: Vec<f64>,
    decimals: usize,
}

impl Axis {
    /// An axis over `range` with at most `most` ticks between `from` and `to`. Their distance is 1, 2 or 5 times a
    /// power of ten, and at least `least`.
    pub fn new(range: Range<f64>, [from, to]: [f64; 2], most: usize, least: f64) -> Axis {
        let exponent = ((to - from).max(1e-9) / most as f64).max(least).log10().floor() as i32;
        let steps = (exponent..).flat_map(|exponent| [1.0, 2.0, 5.0].map(|digit| (digit, exponent)));
        for (digit, exponent) in steps {
            let step = digit * 10f64.powi(exponent);
            let first = (from / step - 1e-9).ceil() as i64;
            let last = (to / step + 1e-9).floor() as i64;
            if step >= least && last - first < most as i64 {
                let ticks = (first..=last).map(|tick| tick as f64 * step).collect();
                return Axis { range, ticks, decimals: exponent.min(0).unsigned_abs() as usize };
            }
        }
        Axis { range, ticks: Vec::new(), decimals: 0 }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        RangedCoordf64::from(self.range.clone()).map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // No light lines between the ticks.
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        format!("{value:.*}", self.decimals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(from: f64, to: f64, most: usize, least: f64) -> Vec<String> {
        let axis = Axis::new(from..to, [from, to], most, least);
        axis.ticks.iter().map(|tick| axis.format_ext(tick)).collect()
    }

    #[test]
    fn epochs_are_whole_numbers() {
        assert_eq!(labels(1.0, 4.0, 10, 1.0), ["1", "2", "3", "4"]);
        assert_eq!(labels(1.0, 1.0, 10, 1.0), ["1"]);
        assert_eq!(labels(1.0, 20.0, 10, 1.0), ["2", "4", "6", "8", "10", "12", "14", "16", "18", "20"]);
        assert_eq!(labels(1.0, 300.0, 10, 1.0), ["50", "100", "150", "200", "250", "300"]);
    }

    #[test]
    fn ticks_are_round_and_have_the_decimals_they_need() {
        assert_eq!(labels(0.934, 0.998, 8, 0.0), ["0.94", "0.95", "0.96", "0.97", "0.98", "0.99"]);
        assert_eq!(labels(0.0, 2.4, 8, 0.0), ["0.0", "0.5", "1.0", "1.5", "2.0"]);
        assert_eq!(labels(0.0, 1e-4, 3, 0.0), ["0.00000", "0.00005", "0.00010"]);
    }
}
