//! What becomes of a data set's values before a model sees them.

use std::sync::Arc;

/// What becomes of the values of a data set after they were scaled and before a model sees them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standardization {
    /// Whether each sample is centred, and whether it is then divided by its standard deviation.
    pub samples: Option<bool>,
    /// What then happens to each value by its place.
    pub features: Option<Arc<Features>>,
}

impl PartialEq for Standardization {
    /// The same rule. Features that are the same memory are equal without a look at their values.
    fn eq(&self, other: &Standardization) -> bool {
        let same_features = match (&self.features, &other.features) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
            (a, b) => a.is_none() && b.is_none(),
        };
        self.samples == other.samples && same_features
    }
}

impl Standardization {
    /// Hands over all that the rule consists of, as bytes.
    pub(crate) fn hash_into(&self, update: &mut dyn FnMut(&[u8])) {
        update(format!("{:?}", self.samples).as_bytes());
        if let Some(Features { centre, divisor, whitening }) = self.features.as_deref() {
            for values in [Some(centre), Some(divisor), whitening.as_ref()].into_iter().flatten() {
                update(bytemuck::cast_slice(values));
            }
        }
    }
}

/// What [`Augmentation::fit`](crate::augmentation::Augmentation::fit) finds in a training set, for samples of E values:
/// `y = whitening^T (x - centre) / divisor`.
#[derive(Clone, PartialEq)]
pub struct Features {
    /// `[E]`: what is subtracted from each value, the mean of its channel.
    pub centre: Vec<f32>,
    /// `[E]`: what it is divided by then, 1 or the standard deviation of its channel.
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
    /// What is subtracted from each channel, and what it is divided by then, for samples of so many values.
    pub(crate) fn of_channels(mean: &[f32], divisor: &[f32], elements: usize) -> Features {
        let spread = |by_channel: &[f32]| by_channel.iter().copied().cycle().take(elements).collect();
        Features { centre: spread(mean), divisor: spread(divisor), whitening: None }
    }
}
