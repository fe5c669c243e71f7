//! Standardization of a data set's values before they enter a model.

use std::sync::Arc;

/// The standardization of a data set's values after scaling and before they enter a model.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standardization {
    /// Whether each sample is centred, and whether it is then divided by its standard deviation.
    pub samples: Option<bool>,
    /// The subsequent featurewise standardization.
    pub features: Option<Arc<Features>>,
}

impl PartialEq for Standardization {
    /// Compares all settings. Features in the same memory are equal without comparing values.
    fn eq(&self, other: &Standardization) -> bool {
        let same_features = match (&self.features, &other.features) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
            (a, b) => a.is_none() && b.is_none(),
        };
        self.samples == other.samples && same_features
    }
}

impl Standardization {
    /// Passes all parameters to a hash function, as bytes.
    pub(crate) fn hash_into(&self, update: &mut dyn FnMut(&[u8])) {
        update(format!("{:?}", self.samples).as_bytes());
        if let Some(Features { centre, divisor, whitening }) = self.features.as_deref() {
            for values in [Some(centre), Some(divisor), whitening.as_ref()].into_iter().flatten() {
                update(bytemuck::cast_slice(values));
            }
        }
    }
}

/// The features of a training set with samples of E values, computed by
/// [`Augmentation::fit`](crate::augmentation::Augmentation::fit): `y = whitening^T (x - centre) / divisor`.
#[derive(Clone, PartialEq)]
pub struct Features {
    /// `[E]`: the mean of each value's channel, which is subtracted.
    pub centre: Vec<f32>,
    /// `[E]`: the divisor applied next, 1 or the standard deviation of the channel.
    pub divisor: Vec<f32>,
    /// `[E, E]`: the matrix of ZCA whitening.
    pub whitening: Option<Vec<f32>>,
}

impl std::fmt::Debug for Features {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Features({} values, whitening: {})", self.centre.len(), self.whitening.is_some())
    }
}

impl Features {
    /// Features with a mean and a divisor per channel, for samples of this many values.
    pub(crate) fn of_channels(mean: &[f32], divisor: &[f32], elements: usize) -> Features {
        let spread = |by_channel: &[f32]| by_channel.iter().copied().cycle().take(elements).collect();
        Features { centre: spread(mean), divisor: spread(divisor), whitening: None }
    }
}
