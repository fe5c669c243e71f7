//! `--rescale`: a scale and an offset of input values.

use std::fmt;
use std::str::FromStr;

use kiln::data::Dataset;
use serde::{Deserialize, Serialize};

/// `value * scale + offset`: in JSON as `[scale, offset]`, on the command line as `SCALE` or `SCALE,OFFSET`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rescale(pub f32, pub f32);

impl Rescale {
    /// Unscaled values.
    pub const NONE: Rescale = Rescale(1.0, 0.0);
    /// Bytes scaled to 0 to 1.
    pub const TO_1: Rescale = Rescale(1.0 / 255.0, 0.0);

    /// The scaling of a data set.
    pub fn of(data: &Dataset) -> Rescale {
        Rescale(data.scale(), data.offset())
    }

    /// Applies the scaling to a data set.
    pub fn apply(self, data: Dataset) -> Dataset {
        data.rescaled(self.0, self.1)
    }

    /// The scaled range of a byte as text: `0 to 1`.
    pub fn of_bytes(self) -> String {
        let [low, high] = [0.0, 255.0].map(|byte| byte * self.0 + self.1);
        format!("{} to {}", rounded(low), rounded(high))
    }
}

/// A number without rounding noise in its digits.
fn rounded(value: f32) -> f32 {
    (value * 1e4).round() / 1e4
}

impl fmt::Display for Rescale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rescale(scale, offset) = *self;
        match (1.0 / scale).round() {
            divisor if divisor > 1.0 && scale == 1.0 / divisor => write!(f, "1/{divisor}")?,
            _ => write!(f, "{scale}")?,
        }
        if offset != 0.0 { write!(f, ",{offset}") } else { Ok(()) }
    }
}

impl FromStr for Rescale {
    type Err = String;

    /// `1/255`, `0.5`, `1/127.5,-1`.
    fn from_str(text: &str) -> Result<Rescale, String> {
        let wrong = || format!("expected SCALE or SCALE,OFFSET, for example 1/255 or 1/127.5,-1; found `{text}`");
        let number = |text: &str| text.trim().parse::<f64>().ok();
        let (scale, offset) = text.split_once(',').unwrap_or((text, "0"));
        let scale = match scale.split_once('/') {
            Some((above, below)) => number(above).zip(number(below)).map(|(above, below)| above / below),
            None => number(scale),
        };
        match (scale, number(offset)) {
            (Some(scale), Some(offset)) if scale.is_finite() && offset.is_finite() && scale as f32 != 0.0 => {
                Ok(Rescale(scale as f32, offset as f32))
            }
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn factors_fractions_and_offsets_are_read_and_printed() {
        let read = |text: &str| text.parse::<Rescale>().unwrap();
        assert_eq!(read("1/255"), Rescale::TO_1);
        assert_eq!(read("1/127.5,-1"), Rescale(1.0 / 127.5, -1.0));
        assert_eq!((read("2, 0.5"), read("1")), (Rescale(2.0, 0.5), Rescale::NONE));
        assert_eq!((Rescale::TO_1.to_string(), Rescale(2.0, -1.0).to_string()), ("1/255".into(), "2,-1".into()));
        for wrong in ["", "x", "1/0", "0", "1,", "1/2/3", "inf", "1,nan"] {
            assert!(wrong.parse::<Rescale>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_range_of_a_byte_is_in_words() {
        assert_eq!(Rescale::TO_1.of_bytes(), "0 to 1");
        assert_eq!(Rescale::NONE.of_bytes(), "0 to 255");
        assert_eq!(Rescale(1.0 / 127.5, -1.0).of_bytes(), "-1 to 1");
    }
}
