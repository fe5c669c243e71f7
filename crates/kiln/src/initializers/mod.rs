//! The initial values of variables.

mod saved;
mod values;

use kiln_graph::Shape;

/// An initializer of a variable, with Keras' names.
///
/// By default, random values depend on the model's seed and differ between variables. With its own seed
/// ([`Initializer::seed`]), they depend on it alone, so that two variables of the same shape have equal values, as in
/// Keras 3.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Initializer {
    rule: Rule,
    seed: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    Zeros,
    Ones,
    Constant { value: f64 },
    RandomUniform { minval: f64, maxval: f64 },
    RandomNormal { mean: f64, stddev: f64 },
    TruncatedNormal { mean: f64, stddev: f64 },
    GlorotUniform,
    GlorotNormal,
    HeUniform,
    HeNormal,
    LecunUniform,
    LecunNormal,
    VarianceScaling { scale: f64, mode: FanMode, distribution: Distribution },
    Orthogonal { gain: f64 },
    Identity { gain: f64 },
}

/// The fan by which the variance is divided. A kernel `[R, S, C, K]` has fan-in `R S C` and fan-out `R S K`, a kernel
/// `[in, out]` has `in` and `out`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FanMode {
    /// The number of inputs of a unit.
    FanIn,
    /// The number of outputs of a unit.
    FanOut,
    /// The mean of both.
    FanAvg,
}

/// The distribution of [`Initializer::variance_scaling`]. All have the same variance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// A uniform distribution.
    Uniform,
    /// A normal distribution truncated to two standard deviations. The standard deviation is scaled by
    /// 1/0.87962566103423978 to compensate for the truncation.
    TruncatedNormal,
    /// A normal distribution.
    UntruncatedNormal,
}

impl Initializer {
    /// All values are 0.
    pub fn zeros() -> Initializer {
        Rule::Zeros.into()
    }

    /// All values are 1.
    pub fn ones() -> Initializer {
        Rule::Ones.into()
    }

    /// All values are this one.
    pub fn constant(value: f64) -> Initializer {
        Rule::Constant { value }.into()
    }

    /// Uniformly distributed between these limits. Keras' defaults are -0.05 and 0.05.
    pub fn random_uniform(minval: f64, maxval: f64) -> Initializer {
        Rule::RandomUniform { minval, maxval }.into()
    }

    /// Normally distributed. Keras' defaults are 0 and 0.05.
    pub fn random_normal(mean: f64, stddev: f64) -> Initializer {
        Rule::RandomNormal { mean, stddev }.into()
    }

    /// Normally distributed, truncated to two standard deviations. Keras' defaults are 0 and 0.05.
    pub fn truncated_normal(mean: f64, stddev: f64) -> Initializer {
        Rule::TruncatedNormal { mean, stddev }.into()
    }

    /// Uniformly distributed in `±sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio 2010).
    pub fn glorot_uniform() -> Initializer {
        Rule::GlorotUniform.into()
    }

    /// Truncated normal with variance `2 / (fan_in + fan_out)` (Glorot and Bengio 2010).
    pub fn glorot_normal() -> Initializer {
        Rule::GlorotNormal.into()
    }

    /// Uniformly distributed in `±sqrt(6 / fan_in)` (He et al. 2015).
    pub fn he_uniform() -> Initializer {
        Rule::HeUniform.into()
    }

    /// Truncated normal with variance `2 / fan_in` (He et al. 2015).
    pub fn he_normal() -> Initializer {
        Rule::HeNormal.into()
    }

    /// Uniformly distributed in `±sqrt(3 / fan_in)` (LeCun et al. 1998).
    pub fn lecun_uniform() -> Initializer {
        Rule::LecunUniform.into()
    }

    /// Truncated normal with variance `1 / fan_in` (LeCun et al. 1998).
    pub fn lecun_normal() -> Initializer {
        Rule::LecunNormal.into()
    }

    /// Mean 0 and variance `scale / fan`, with `scale > 0`. Keras' defaults are 1, `fan_in` and `truncated_normal`.
    pub fn variance_scaling(scale: f64, mode: FanMode, distribution: Distribution) -> Initializer {
        Rule::VarianceScaling { scale, mode, distribution }.into()
    }

    /// `gain` times a matrix with orthonormal columns or, if it has fewer rows than columns, orthonormal rows (Saxe et
    /// al. 2014). All axes but the last are flattened to rows. Keras' default is 1.
    pub fn orthogonal(gain: f64) -> Initializer {
        Rule::Orthogonal { gain }.into()
    }

    /// `gain` times the identity matrix. Keras' default is 1.
    pub fn identity(gain: f64) -> Initializer {
        Rule::Identity { gain }.into()
    }

    /// Sets the initializer's own seed, which has no effect on an initializer without random values.
    pub fn seed(self, seed: u64) -> Initializer {
        Initializer { seed: Some(seed), ..self }
    }

    /// Keras' name of the class.
    pub fn class_name(self) -> &'static str {
        match self.rule {
            Rule::Zeros => "Zeros",
            Rule::Ones => "Ones",
            Rule::Constant { .. } => "Constant",
            Rule::RandomUniform { .. } => "RandomUniform",
            Rule::RandomNormal { .. } => "RandomNormal",
            Rule::TruncatedNormal { .. } => "TruncatedNormal",
            Rule::GlorotUniform => "GlorotUniform",
            Rule::GlorotNormal => "GlorotNormal",
            Rule::HeUniform => "HeUniform",
            Rule::HeNormal => "HeNormal",
            Rule::LecunUniform => "LecunUniform",
            Rule::LecunNormal => "LecunNormal",
            Rule::VarianceScaling { .. } => "VarianceScaling",
            Rule::Orthogonal { .. } => "Orthogonal",
            Rule::Identity { .. } => "Identity",
        }
    }

    /// The requirement that the shape or the arguments violate, if any.
    pub(crate) fn misfit(self, shape: &Shape) -> Option<String> {
        let finite = |values: [f64; 2]| values.iter().all(|value| value.is_finite());
        let (fits, expected) = match self.rule {
            Rule::Constant { value } => (value.is_finite(), "a finite value"),
            Rule::RandomUniform { minval, maxval } => (finite([minval, maxval]), "finite limits"),
            Rule::RandomNormal { mean, stddev } | Rule::TruncatedNormal { mean, stddev } => {
                (finite([mean, stddev]), "a finite mean and standard deviation")
            }
            Rule::VarianceScaling { scale, .. } => (scale.is_finite() && scale > 0.0, "a finite scale above 0"),
            Rule::Orthogonal { gain } => (gain.is_finite() && shape.len() > 1, "a finite gain and two or more axes"),
            Rule::Identity { gain } => (gain.is_finite() && shape.len() == 2, "a finite gain and two axes"),
            _ => (true, ""),
        };
        (!fits).then(|| format!("{expected} (initializer {})", self.class_name()))
    }
}

impl From<Rule> for Initializer {
    fn from(rule: Rule) -> Initializer {
        Initializer { rule, seed: None }
    }
}
