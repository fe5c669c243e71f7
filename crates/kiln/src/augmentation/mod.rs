//! Image augmentation and standardization, computed on the device at the start of a step.
//!
//! [`Augmentation`] has the arguments of Keras' `ImageDataGenerator`, under the same names. It first applies random
//! transforms to images in the data set's own values, bytes as 0 to 255; then the data set's scaling
//! (`value * scale + offset`) or `rescale`; then samplewise and featurewise standardization.
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

/// Image augmentation for training: Keras' `ImageDataGenerator`, plus random crops and cutout.
///
/// The random draws for an image depend on the seed of the training, the step and the image's index in the batch. The
/// transform is Keras' `R T Sh Z` (rotation, shift, shear, zoom; maps a pixel's position in the result to its source)
/// about the centre of the image; then come crop, channel shift, flips, brightness and cutout. Where versions of Keras
/// differ from each other, this follows its documentation: `width_shift_range` shifts horizontally, and the centre is
/// the middle of the image.
///
/// There is no `preprocessing_function`: apply deterministic preprocessing to the data set instead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Whether to subtract each channel's mean over the data set. Needs [`Augmentation::fit`].
    pub featurewise_center: bool,
    /// Whether to subtract each image's mean.
    pub samplewise_center: bool,
    /// Whether to divide each channel by its standard deviation over the data set plus 1e-6. Implies centring. Needs
    /// [`Augmentation::fit`].
    pub featurewise_std_normalization: bool,
    /// Whether to divide each image by its standard deviation plus 1e-6. Implies centring.
    pub samplewise_std_normalization: bool,
    /// Whether to apply ZCA whitening: multiplication by `U diag(1 / sqrt(s + zca_epsilon)) U^T`, where `U diag(s) U^T` is
    /// the covariance matrix of the values over the data set. Centres each channel first. Needs [`Augmentation::fit`].
    pub zca_whitening: bool,
    /// Added to each variance `s` in whitening, before dividing by its square root.
    pub zca_epsilon: f64,
    /// Rotation in degrees: the angle is uniform in `[-rotation_range, rotation_range)`.
    pub rotation_range: f64,
    /// Horizontal shift: a fraction of the width, pixels or a list of these.
    pub width_shift_range: ShiftRange,
    /// Vertical shift: a fraction of the height, pixels or a list of these.
    pub height_shift_range: ShiftRange,
    /// Brightness: the minimum and maximum factor for all values; results are clamped to 255. Unlike Keras, which
    /// converts the result to bytes, nothing is rounded.
    pub brightness_range: Option<[f64; 2]>,
    /// Shear in degrees: the angle is uniform in `[-shear_range, shear_range)`.
    pub shear_range: f64,
    /// Zoom: one number or two.
    pub zoom_range: ZoomRange,
    /// Channel shift: a number uniform in `[-channel_shift_range, channel_shift_range)` is added to all values of an image;
    /// the result is clamped to the minimum and maximum value of the image.
    pub channel_shift_range: f64,
    /// How points outside the image are filled.
    pub fill_mode: FillMode,
    /// The fill value of [`FillMode::Constant`] and `cutout`, in the unit of the data set's values.
    pub cval: f64,
    /// Whether to flip half of the images left to right.
    pub horizontal_flip: bool,
    /// Whether to flip half of the images upside down.
    pub vertical_flip: bool,
    /// A factor for all values after the random transforms, replacing the data set's scaling.
    pub rescale: Option<f64>,
    /// The interpolation between pixels: 1 is bilinear, 0 is nearest.
    pub interpolation_order: u32,
    /// Random crop: images are padded by this many pixels on all sides, as set by `fill_mode`, and cropped to their
    /// original size at a random position. Not in Keras.
    pub crop_padding: u32,
    /// Cutout: the side, in pixels, of a square centred at a random pixel that is set to `cval` (DeVries and Taylor 2017,
    /// "Improved Regularization of Convolutional Neural Networks with Cutout"). Not in Keras.
    pub cutout: u32,
    /// The index of the input to augment, in a data set with several inputs ([`Dataset::zip`]). By default the only one that
    /// has images, `[height, width, channels]`. Not in Keras.
    pub input: Option<usize>,
    /// The result of [`Augmentation::fit`]. Not saved to files.
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
            input: None,
            features: None,
        }
    }
}

impl Augmentation {
    /// Computes the features of a training set and returns this augmentation with them: the channels' means and standard
    /// deviations, and the whitening matrix if enabled, which takes half a minute for 50,000 images of 32 x 32 x 3.
    ///
    /// # Errors
    /// If an argument is invalid, the data set is empty, or the eigendecomposition of its covariances does not converge.
    pub fn fit(self, data: &Dataset) -> Result<Augmentation> {
        self.check()?;
        let features = self.needs_features().then(|| Features::of(&self, &self.images(data)?)).transpose()?;
        Ok(Augmentation { features: features.map(Arc::new), ..self })
    }

    /// Applies the deterministic part of this augmentation to a data set, for evaluation and prediction: rescaling,
    /// centring, normalization and whitening. [`fit`](crate::Model::fit) does this to training and validation data. It is
    /// lazy: the device computes it batch by batch. Settings of the data set remain unless the augmentation overrides
    /// them.
    ///
    /// # Errors
    /// If an argument is invalid, or features are needed and [`Augmentation::fit`] was not called.
    pub fn standardize(&self, data: &Dataset) -> Result<Dataset> {
        self.check()?;
        self.check_features(data)?;
        let scale = self.rescale.map(|factor| factor as f32);
        let samples = self.samplewise_center || self.samplewise_std_normalization;
        let change = |before: &Standardization| Standardization {
            samples: samples.then_some(self.samplewise_std_normalization).or(before.samples),
            features: self.features.clone().filter(|_| self.needs_features()).or(before.features.clone()),
        };
        let input = self.input_of(data.sample_shapes())?;
        Ok(data.clone().standardized(input, scale, change))
    }

    /// Whether standardization depends on the data set.
    fn needs_features(&self) -> bool {
        self.featurewise_center || self.featurewise_std_normalization || self.zca_whitening
    }
}
