//! The features of a data set used for standardization.

use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, Par, Side};

use super::Augmentation;
use crate::data::{Dataset, Features, Values};
use crate::{Error, Result};

/// Added to a standard deviation before dividing by it.
const EPSILON: f64 = 1e-6;
/// The number of samples per update of the covariances.
const CHUNK: usize = 2048;
/// The maximum number of values of a whitened sample: the matrix with this many rows and columns needs 2 GiB.
const MOST_WHITENED: usize = 1 << 14;

impl Features {
    /// The features of all samples, scaled like the model's input.
    ///
    /// # Errors
    /// If there is no sample, or whitening fails.
    pub(super) fn of(augmentation: &Augmentation, data: &Dataset) -> Result<Features> {
        let argument = |name, expected: String, found: String| Err(Error::Argument { name, expected, found });
        if data.is_empty() {
            return argument("data", "at least one sample".to_owned(), "an empty data set".to_owned());
        }
        let samples = Samples::new(augmentation, data)?;
        if augmentation.zca_whitening && samples.elements > MOST_WHITENED {
            let expected = format!("samples of at most {MOST_WHITENED} values");
            return argument("zca_whitening", expected, format!("samples {}", data.sample_shape()));
        }
        let channels = data.sample_shape().last().copied().unwrap_or(1);
        let count = (data.len() * samples.elements / channels) as f64;
        let mut mean = vec![0.0; channels];
        samples.each(|place, value| mean[place % channels] += value / count);
        if mean.iter().any(|mean| !mean.is_finite()) {
            return argument("data", "finite values".to_owned(), "a channel with non-finite values".to_owned());
        }
        let mut variance = vec![0.0; channels];
        if augmentation.featurewise_std_normalization {
            samples.each(|place, value| variance[place % channels] += (value - mean[place % channels]).powi(2) / count);
        }
        let divisor: Vec<f64> = match augmentation.featurewise_std_normalization {
            true => variance.iter().map(|variance| variance.sqrt() + EPSILON).collect(),
            false => vec![1.0; channels],
        };
        let spread = |by_channel: &[f64]| (0..samples.elements).map(|e| by_channel[e % channels] as f32).collect();
        let whitening = match augmentation.zca_whitening {
            true => Some(samples.whitening(&mean, augmentation.zca_epsilon)?),
            false => None,
        };
        Ok(Features { centre: spread(&mean), divisor: spread(&divisor), whitening })
    }
}

/// The samples of a data set, scaled like the model's input but not standardized.
struct Samples {
    values: Values,
    count: usize,
    /// The number of values of a sample.
    elements: usize,
    scale: f64,
    offset: f64,
}

impl Samples {
    /// Reads streamed samples.
    fn new(augmentation: &Augmentation, data: &Dataset) -> Result<Samples> {
        let own = (f64::from(data.scale()), f64::from(data.offset()));
        let (scale, offset) = augmentation.rescale.map_or(own, |factor| (factor, 0.0));
        let elements = data.sample_shape().elements();
        Ok(Samples { values: data.values()?, count: data.len(), elements, scale, offset })
    }

    fn get(&self, at: usize) -> f64 {
        let value = match &self.values {
            Values::U8(values) => f64::from(values[at]),
            Values::F32(values) => f64::from(values[at]),
        };
        self.scale * value + self.offset
    }

    /// Calls a function with each value and its index in the sample.
    fn each(&self, mut take: impl FnMut(usize, f64)) {
        for at in 0..self.count * self.elements {
            take(at % self.elements, self.get(at));
        }
    }

    /// `U diag(1 / sqrt(s + epsilon)) U^T`, where `U diag(s) U^T` is the mean of `(x - mean) (x - mean)^T`, with one mean
    /// per channel.
    ///
    /// # Errors
    /// If the eigendecomposition does not converge.
    fn whitening(&self, mean: &[f64], epsilon: f64) -> Result<Vec<f32>> {
        let elements = self.elements;
        let lower = BlockStructure::TriangularLower;
        let mut sigma = Mat::<f64>::zeros(elements, elements);
        for first in (0..self.count).step_by(CHUNK) {
            let count = CHUNK.min(self.count - first);
            tracing::info!("computing covariances of samples {first} to {} of {}", first + count, self.count);
            let centred = Mat::from_fn(elements, count, |place, sample| {
                self.get((first + sample) * elements + place) - mean[place % mean.len()]
            });
            let (a, b, share) = (centred.as_ref(), centred.transpose(), 1.0 / self.count as f64);
            let whole = BlockStructure::Rectangular;
            triangular::matmul(sigma.as_mut(), lower, Accum::Add, a, whole, b, whole, share, Par::Seq);
        }
        tracing::info!("computing eigenvalues of a matrix of {elements} rows");
        let eigen = sigma.self_adjoint_eigen(Side::Lower).map_err(|_| Error::Argument {
            name: "data",
            expected: "finite values with a convergent eigendecomposition of their covariances".to_owned(),
            found: "an eigendecomposition that does not converge".to_owned(),
        })?;
        let (u, s) = (eigen.U(), eigen.S().column_vector());
        let scaled = Mat::from_fn(elements, elements, |row, i| u[(row, i)] / (s[i].max(0.0) + epsilon).sqrt());
        let whitening = &scaled * u.transpose();
        Ok((0..elements * elements).map(|at| whitening[(at / elements, at % elements)] as f32).collect())
    }
}
