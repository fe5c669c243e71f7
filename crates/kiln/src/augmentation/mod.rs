//! Random changes of training images, and what models see of images: computed on the device, as first part of a step.
//!
//! [`Augmentation`] has the arguments of Keras' `ImageDataGenerator`, and Keras' names for them. Images are changed as
//! they lie in the data set, bytes as 0 to 255; then the data set's own rule (`value * scale + offset`) or `rescale`
//! applies, then samples and features are standardized.
//!
//! ```no_run
//! use kiln::augmentation::Augmentation;
//! # use kiln::{Fit, Model, data::Dataset};
//! # fn f(model: &mut Model, train: &Dataset) -> kiln::Result<()> {
//! let augmentation = Augmentation {
//!     rotation_range: 15.0,
//!     width_shift_range: 0.1.into(),
//!     height_shift_range: 0.1.into(),
//!     zoom_range: 0.1.into(),
//!     horizontal_flip: true,
//!     ..Augmentation::default()
//! };
//! model.fit(train, Fit { epochs: 20, augmentation: Some(&augmentation), ..Fit::default() })?;
//! # Ok(())
//! # }
//! ```

mod append;
mod check;
mod features;
mod preview;
mod ranges;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Result;
pub use crate::data::standardization::Features;
use crate::data::{Dataset, Standardization};

pub(crate) use append::{FeatureTensors, Source, append};
pub use kiln_ops::FillMode;
pub use preview::ContactSheet;
pub use ranges::{ShiftRange, ZoomRange};

/// What a training does to its images: Keras' `ImageDataGenerator`, with random crops and cutout besides.
///
/// What is drawn for an image depends on the seed of the training, the step and the image's place in the batch. The
/// transform is Keras' `R T Sh Z` (rotation, shift, shear, zoom; a pixel's place in the result is put through them to
/// find its source) about the centre of the image; then come crop, channel shift, flips, brightness and cutout. Where
/// versions of Keras differ from each other, this is what its documentation says: `width_shift_range` shifts
/// horizontally, and the centre is the middle of the image.
///
/// A `preprocessing_function` is a matter of the data set: it is a change that is not random.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Whether each channel's mean over the data set is subtracted. Needs [`Augmentation::fit`].
    pub featurewise_center: bool,
    /// Whether each image's mean is subtracted.
    pub samplewise_center: bool,
    /// Whether each channel is also divided by its standard deviation over the data set, to which 1e-6 is added. Centres
    /// as well. Needs [`Augmentation::fit`].
    pub featurewise_std_normalization: bool,
    /// Whether each image is also divided by its standard deviation, to which 1e-6 is added. Centres as well.
    pub samplewise_std_normalization: bool,
    /// Whether images are whitened: multiplied by `U diag(1 / sqrt(s + zca_epsilon)) U^T`, where `U diag(s) U^T` is the
    /// matrix of the values' covariances over the data set. Centres each channel first. Needs [`Augmentation::fit`].
    pub zca_whitening: bool,
    /// What is added to each variance `s` before whitening divides by its root.
    pub zca_epsilon: f64,
    /// Degrees: images are turned by an angle that is uniform in `[-rotation_range, rotation_range)`.
    pub rotation_range: f64,
    /// How far images are moved horizontally: a share of the width, pixels or a list of these.
    pub width_shift_range: ShiftRange,
    /// How far images are moved vertically: a share of the height, pixels or a list of these.
    pub height_shift_range: ShiftRange,
    /// The least and the most factor for all values, of which those above 255 become 255. Unlike Keras, which makes
    /// bytes of what comes out, nothing is rounded.
    pub brightness_range: Option<[f64; 2]>,
    /// Degrees: images are sheared by an angle that is uniform in `[-shear_range, shear_range)`.
    pub shear_range: f64,
    /// How much images are magnified: one number or two.
    pub zoom_range: ZoomRange,
    /// What is added to all values of an image is uniform in `[-channel_shift_range, channel_shift_range)`; the result is
    /// kept between the least and the most value of the image.
    pub channel_shift_range: f64,
    /// What lies outside the image.
    pub fill_mode: FillMode,
    /// The value of [`FillMode::Constant`] and of what `cutout` takes away, in the unit of the data set's values.
    pub cval: f64,
    /// Whether half of the images are flipped left to right.
    pub horizontal_flip: bool,
    /// Whether half of the images are flipped upside down.
    pub vertical_flip: bool,
    /// What all values are multiplied by after the random changes, in place of the data set's own rule.
    pub rescale: Option<f64>,
    /// 1: a place between pixels gets a value between theirs. 0: it gets the nearest pixel's.
    pub interpolation_order: u32,
    /// Pixels: images are padded by so many on all sides, and a random piece of the image's own size is taken. What the
    /// padding shows is a matter of `fill_mode`. Not in Keras.
    pub crop_padding: u32,
    /// Pixels: the side of a square, centred at a random pixel, that becomes `cval` (DeVries and Taylor 2017, "Improved
    /// Regularization of Convolutional Neural Networks with Cutout"). Not in Keras.
    pub cutout: u32,
    /// What [`Augmentation::fit`] found. Not part of a file.
    #[serde(skip)]
    pub features: Option<Arc<Features>>,
}

impl Default for Augmentation {
    fn default() -> Augmentation {
        Augmentation {
            featurewise_center: false,
            samplewise_center: false,
            featurewise_std_normalization: false,
            samplewise_std_normalization: false,
            zca_whitening: false,
            zca_epsilon: 1e-6,
            rotation_range: 0.0,
            width_shift_range: ShiftRange::default(),
            height_shift_range: ShiftRange::default(),
            brightness_range: None,
            shear_range: 0.0,
            zoom_range: ZoomRange::default(),
            channel_shift_range: 0.0,
            fill_mode: FillMode::default(),
            cval: 0.0,
            horizontal_flip: false,
            vertical_flip: false,
            rescale: None,
            interpolation_order: 1,
            crop_padding: 0,
            cutout: 0,
            features: None,
        }
    }
}

impl Augmentation {
    /// This augmentation, with the features of a training set: the channels' means and deviations, and the whitening
    /// matrix if there is one, which takes time: half a minute for 50,000 images of 32 x 32 x 3.
    ///
    /// # Errors
    /// If an argument makes no sense, the data set is empty, or the eigenvalues of its covariances are not found.
    pub fn fit(self, data: &Dataset) -> Result<Augmentation> {
        self.check()?;
        let features = self.needs_features().then(|| Features::of(&self, data)).transpose()?;
        Ok(Augmentation { features: features.map(Arc::new), ..self })
    }

    /// The data set as a model is to see it, without random changes: rescaled, centred, normalized and whitened by
    /// this augmentation's rules, for evaluation and prediction. [`fit`](crate::Model::fit) does this to what it
    /// trains and validates with. Nothing is computed here; the device does it, batch by batch. What the data set says
    /// of this already stays where the augmentation says nothing.
    ///
    /// # Errors
    /// If an argument makes no sense, or features are needed and [`Augmentation::fit`] was not called.
    pub fn standardize(&self, data: &Dataset) -> Result<Dataset> {
        self.check()?;
        self.check_features(data)?;
        let data = match self.rescale {
            Some(factor) => data.clone().rescaled(factor as f32, 0.0),
            None => data.clone(),
        };
        let samples = self.samplewise_center || self.samplewise_std_normalization;
        let before = data.standardization().clone();
        Ok(data.standardized(Standardization {
            samples: samples.then_some(self.samplewise_std_normalization).or(before.samples),
            features: self.features.clone().filter(|_| self.needs_features()).or(before.features),
        }))
    }

    /// Whether standardization depends on the data set.
    fn needs_features(&self) -> bool {
        self.featurewise_center || self.featurewise_std_normalization || self.zca_whitening
    }
}
