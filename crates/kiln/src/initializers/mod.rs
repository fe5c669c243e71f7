//! What variables hold before training.

mod saved;
mod values;

use kiln_graph::Shape;

/// A rule for the first values of a variable, by Keras' names.
///
/// Without a seed of its own, its draws follow from the model's seed and differ from variable to variable. With one
/// ([`Initializer::seed`]) they follow from that alone, so that two variables of one shape begin alike, as in Keras 3.
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

/// Which fan of a variable its variance is divided by. A kernel `[R, S, C, K]` has the fans in and out `R S C` and
/// `R S K`, one `[in, out]` has `in` and `out`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FanMode {
    /// The values that go into a unit.
    FanIn,
    /// The values that come out of one.
    FanOut,
    /// The mean of both.
    FanAvg,
}

/// How the values of [`Initializer::variance_scaling`] are spread. All have the same variance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Evenly between two limits.
    Uniform,
    /// Normally, without what is more than two standard deviations away. The standard deviation before that is larger
    /// by 1/0.87962566103423978 to make up for it.
    TruncatedNormal,
    /// Normally.
    UntruncatedNormal,
}

impl Initializer {
    /// All 0.
    pub fn zeros() -> Initializer {
        Rule::Zeros.into()
    }

    /// All 1.
    pub fn ones() -> Initializer {
        Rule::Ones.into()
    }

    /// All of this value.
    pub fn constant(value: f64) -> Initializer {
        Rule::Constant { value }.into()
    }

    /// Evenly between these limits. Keras' defaults are -0.05 and 0.05.
    pub fn random_uniform(minval: f64, maxval: f64) -> Initializer {
        Rule::RandomUniform { minval, maxval }.into()
    }

    /// Normally. Keras' defaults are 0 and 0.05.
    pub fn random_normal(mean: f64, stddev: f64) -> Initializer {
        Rule::RandomNormal { mean, stddev }.into()
    }

    /// Normally, without what is more than two standard deviations away. Keras' defaults are 0 and 0.05.
    pub fn truncated_normal(mean: f64, stddev: f64) -> Initializer {
        Rule::TruncatedNormal { mean, stddev }.into()
    }

    /// Evenly in `±sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio 2010).
    pub fn glorot_uniform() -> Initializer {
        Rule::GlorotUniform.into()
    }

    /// Truncated normal, of variance `2 / (fan_in + fan_out)` (Glorot and Bengio 2010).
    pub fn glorot_normal() -> Initializer {
        Rule::GlorotNormal.into()
    }

    /// Evenly in `±sqrt(6 / fan_in)` (He et al. 2015).
    pub fn he_uniform() -> Initializer {
        Rule::HeUniform.into()
    }

    /// Truncated normal, of variance `2 / fan_in` (He et al. 2015).
    pub fn he_normal() -> Initializer {
        Rule::HeNormal.into()
    }

    /// Evenly in `±sqrt(3 / fan_in)` (LeCun et al. 1998).
    pub fn lecun_uniform() -> Initializer {
        Rule::LecunUniform.into()
    }

    /// Truncated normal, of variance `1 / fan_in` (LeCun et al. 1998).
    pub fn lecun_normal() -> Initializer {
        Rule::LecunNormal.into()
    }

    /// With mean 0 and variance `scale / fan`; the scale is above 0. Keras' defaults are 1, `fan_in` and
    /// `truncated_normal`.
    pub fn variance_scaling(scale: f64, mode: FanMode, distribution: Distribution) -> Initializer {
        Rule::VarianceScaling { scale, mode, distribution }.into()
    }

    /// `gain` times a matrix with orthonormal columns or, if it has fewer rows than columns, rows (Saxe et al. 2014). All
    /// axes but the last make the rows. Keras' default is 1.
    pub fn orthogonal(gain: f64) -> Initializer {
        Rule::Orthogonal { gain }.into()
    }

    /// `gain` where row and column have one number, else 0, for a matrix. Keras' default is 1.
    pub fn identity(gain: f64) -> Initializer {
        Rule::Identity { gain }.into()
    }

    /// The rule with a seed of its own, which has no effect on a rule that draws nothing.
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

    /// What a variable or the rule's arguments have to be, if the rule has no values for this shape.
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
