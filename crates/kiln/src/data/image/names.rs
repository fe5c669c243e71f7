//! Keras' names of interpolations and colour modes.

use std::str::FromStr;

use super::{ColorMode, Interpolation};
use crate::UnknownName;

impl Interpolation {
    /// All interpolations.
    pub const ALL: [Interpolation; 6] = [
        Interpolation::Nearest,
        Interpolation::Bilinear,
        Interpolation::Bicubic,
        Interpolation::Lanczos,
        Interpolation::Box,
        Interpolation::Hamming,
    ];

    /// Keras' and PIL's name.
    pub fn name(self) -> &'static str {
        match self {
            Interpolation::Nearest => "nearest",
            Interpolation::Bilinear => "bilinear",
            Interpolation::Bicubic => "bicubic",
            Interpolation::Lanczos => "lanczos",
            Interpolation::Box => "box",
            Interpolation::Hamming => "hamming",
        }
    }
}

impl FromStr for Interpolation {
    type Err = UnknownName;

    /// The interpolation with Keras' name.
    fn from_str(name: &str) -> Result<Interpolation, UnknownName> {
        let known = Interpolation::ALL.into_iter().find(|interpolation| interpolation.name() == name);
        known.ok_or_else(|| UnknownName::new(&Interpolation::ALL.map(Interpolation::name), name))
    }
}

impl ColorMode {
    /// Keras' name.
    pub fn name(self) -> &'static str {
        match self {
            ColorMode::Rgb => "rgb",
            ColorMode::Grayscale => "grayscale",
        }
    }

    /// The mode with this number of channels, 1 or 3.
    pub fn of_channels(channels: usize) -> Option<ColorMode> {
        [ColorMode::Rgb, ColorMode::Grayscale].into_iter().find(|mode| mode.channels() == channels)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn names_are_those_of_keras_in_words_and_in_files() {
        for interpolation in Interpolation::ALL {
            assert_eq!(interpolation.name().parse::<Interpolation>().unwrap(), interpolation);
            assert_eq!(serde_json::to_value(interpolation).unwrap(), interpolation.name());
        }
        for mode in [ColorMode::Rgb, ColorMode::Grayscale] {
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.name());
            assert_eq!(ColorMode::of_channels(mode.channels()), Some(mode));
        }
        assert!("linear".parse::<Interpolation>().unwrap_err().expected.contains("bilinear"));
    }
}
