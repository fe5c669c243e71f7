//! What standardization needs to know of a data set: found in it.

use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, Par, Side};

use super::Augmentation;
use crate::data::{Dataset, Features, Values};
use crate::{Error, Result};

/// What is added to a standard deviation before something is divided by it.
const EPSILON: f64 = 1e-6;
/// How many samples are added to the covariances at once.
const CHUNK: usize = 2048;
/// The most values of a sample that is whitened: the matrix of so many rows and columns takes 2 GiB.
const MOST_WHITENED: usize = 1 << 14;

impl Features {
    /// The features of all samples, scaled as a model sees them.
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
            return argument("data", "finite values".to_owned(), "a channel that has others".to_owned());
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

/// The samples of a data set as a model sees them before they are standardized.
struct Samples {
    values: Values,
    count: usize,
    /// Values of a sample.
    elements: usize,
    scale: f64,
    offset: f64,
}

impl Samples {
    /// Reads what is streamed.
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

    /// Hands over each value with its place in the sample.
    fn each(&self, mut take: impl FnMut(usize, f64)) {
        for at in 0..self.count * self.elements {
            take(at % self.elements, self.get(at));
        }
    }

    /// `U diag(1 / sqrt(s + epsilon)) U^T`, where `U diag(s) U^T` is the mean of `(x - mean) (x - mean)^T`, with one mean
    /// per channel.
    ///
    /// # Errors
    /// If the eigenvalues are not found.
    fn whitening(&self, mean: &[f64], epsilon: f64) -> Result<Vec<f32>> {
        let elements = self.elements;
        let lower = BlockStructure::TriangularLower;
        let mut sigma = Mat::<f64>::zeros(elements, elements);
        for first in (0..self.count).step_by(CHUNK) {
            let count = CHUNK.min(self.count - first);
            tracing::info!("covariances of samples {first} to {} of {}", first + count, self.count);
            let centred = Mat::from_fn(elements, count, |place, sample| {
                self.get((first + sample) * elements + place) - mean[place % mean.len()]
            });
            let (a, b, share) = (centred.as_ref(), centred.transpose(), 1.0 / self.count as f64);
            let whole = BlockStructure::Rectangular;
            triangular::matmul(sigma.as_mut(), lower, Accum::Add, a, whole, b, whole, share, Par::Seq);
        }
        tracing::info!("eigenvalues of a matrix of {elements} rows");
        let eigen = sigma.self_adjoint_eigen(Side::Lower).map_err(|_| Error::Argument {
            name: "data",
            expected: "finite values, whose covariances have eigenvalues".to_owned(),
            found: "a data set for which none are found".to_owned(),
        })?;
        let (u, s) = (eigen.U(), eigen.S().column_vector());
        let scaled = Mat::from_fn(elements, elements, |row, i| u[(row, i)] / (s[i].max(0.0) + epsilon).sqrt());
        let whitening = &scaled * u.transpose();
        Ok((0..elements * elements).map(|at| whitening[(at / elements, at % elements)] as f32).collect())
    }
}
