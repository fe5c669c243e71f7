//! Checks of the arguments of an augmentation.

use kiln_graph::Shape;

use super::Augmentation;
use crate::data::Dataset;
use crate::{Error, Result};

/// # Errors
/// [`Error::Argument`], unless `fits`.
fn expect(fits: bool, name: &'static str, expected: &str, found: impl ToString) -> Result<()> {
    if fits { Ok(()) } else { Err(Error::Argument { name, expected: expected.to_owned(), found: found.to_string() }) }
}

impl Augmentation {
    /// # Errors
    /// [`Error::Argument`] if an argument is invalid.
    pub(crate) fn check(&self) -> Result<()> {
        let positive = |value: f64| value.is_finite() && value >= 0.0;
        let rising = |[low, high]: [f64; 2]| positive(low) && high.is_finite() && low <= high;
        let degrees = "an angle in degrees, 0 or more";
        expect(positive(self.rotation_range), "rotation_range", degrees, self.rotation_range)?;
        expect(positive(self.shear_range), "shear_range", degrees, self.shear_range)?;
        let shift = "a fraction of the size below 1, a number of pixels, or a list of 1 to 16 of these";
        for (name, range) in
            [("width_shift_range", &self.width_shift_range), ("height_shift_range", &self.height_shift_range)]
        {
            range.problem().map_or(Ok(()), |found| expect(false, name, shift, found))?;
        }
        let zoom = self.zoom_range.pair();
        let expected = "a number at least 0 and below 1, or two factors above 0 in ascending order";
        expect(rising(zoom) && zoom[0] > 0.0, "zoom_range", expected, self.zoom_range)?;
        if let Some(brightness) = self.brightness_range {
            let expected = "two factors, 0 or more, in ascending order";
            expect(rising(brightness), "brightness_range", expected, format!("{brightness:?}"))?;
        }
        let number = "a finite number";
        expect(positive(self.channel_shift_range), "channel_shift_range", "0 or more", self.channel_shift_range)?;
        expect(self.cval.is_finite(), "cval", number, self.cval)?;
        expect(self.rescale.is_none_or(f64::is_finite), "rescale", number, self.rescale.unwrap_or_default())?;
        expect(self.interpolation_order <= 1, "interpolation_order", "0 or 1", self.interpolation_order)?;
        expect(self.crop_padding < 1 << 15, "crop_padding", "less than 32768 pixels", self.crop_padding)?;
        expect(self.zca_epsilon > 0.0, "zca_epsilon", "a number above 0", self.zca_epsilon)?;
        let both = self.zca_whitening && self.featurewise_std_normalization;
        expect(!both, "zca_whitening", "zca_whitening or featurewise_std_normalization, not both", "both")
    }

    /// The index of the input to augment, of inputs with these shapes for one sample.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is no such input, or none is named and not exactly one has images.
    pub(crate) fn input_of<'a>(&self, shapes: impl ExactSizeIterator<Item = &'a Shape>) -> Result<usize> {
        let count = shapes.len();
        if let Some(input) = self.input {
            let expected = format!("the index of one of {count} inputs");
            return expect(input < count, "augmentation.input", &expected, input).map(|()| input);
        }
        let images: Vec<usize> =
            shapes.enumerate().filter(|(_, shape)| count == 1 || shape.len() == 3).map(|(index, _)| index).collect();
        match images[..] {
            [input] => Ok(input),
            _ => {
                let expected = "the index of the input to augment, unless exactly one has images".to_owned();
                let found = format!("none, and {} of {count} inputs with images", images.len());
                Err(Error::Argument { name: "augmentation.input", expected, found })
            }
        }
    }

    /// The input to augment of a data set.
    ///
    /// # Errors
    /// As [`Augmentation::input_of`].
    pub(super) fn images(&self, data: &Dataset) -> Result<Dataset> {
        let index = self.input_of(data.sample_shapes())?;
        Ok(data.input(index).unwrap_or_else(|| data.clone()))
    }

    /// # Errors
    /// [`Error::Argument`] if required features are missing or were fitted to images of another size.
    pub(super) fn check_features(&self, data: &Dataset) -> Result<()> {
        if !self.needs_features() {
            return Ok(());
        }
        let name = "augmentation";
        let Some(features) = &self.features else {
            return expect(false, name, "one that was fitted to the training set; call `fit` on it", "none");
        };
        let elements = self.images(data)?.sample_shape().elements();
        let expected = format!("one fitted to samples of {elements} values");
        expect(features.centre.len() == elements, name, &expected, format!("one of {} values", features.centre.len()))?;
        let whitened = !self.zca_whitening || features.whitening.is_some();
        expect(whitened, name, "one that was fitted with zca_whitening; call `fit` on it", "one that was not")
    }
}
