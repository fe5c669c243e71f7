//! The precision of matrix products and convolutions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::UnknownName;

/// The precision of matrix products and convolutions.
///
/// In [`Precision::Mixed`], both factors of every matrix product and convolution, and of the products that compute its
/// gradients, are rounded to 16-bit floats (IEEE binary16: 11 significant bits, at most 65,504) when the product loads
/// them: to nearest, ties to even, with subnormal numbers, to infinity from 65,520 on. So the rounded values are the input
/// and the kernel of a layer, and in the backward pass the gradient of its output. Products and their sums, biases and all
/// other ops are in 32-bit floats, and so is every tensor in memory.
///
/// Where a device has cooperative matrices (tensor cores: f16 factors, f32 sums), the products run on them. Elsewhere a pass
/// before the product rounds its factors, by integer operations, and the product is the one of [`Precision::Float32`], with
/// the same [`Algorithms`](crate::Algorithms); so every device runs it, with or without WebGPU's `shader-f16`. The results of
/// devices with and without cooperative matrices agree up to the order and the rounding of sums in f32. On one device, results
/// are as reproducible as in [`Precision::Float32`]: they do not depend on tuning or threads. With cooperative matrices they
/// depend on the sizes of products and on the binding limit, because small and very large products do not run on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats throughout.
    #[default]
    Float32,
    /// Factors of products rounded to 16-bit floats, all else in 32-bit floats.
    Mixed,
}

impl Precision {
    /// All precisions.
    pub const ALL: [Precision; 2] = [Precision::Float32, Precision::Mixed];

    /// Its name in files and on the command line: `float32` or `mixed`.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Float32 => "float32",
            Precision::Mixed => "mixed",
        }
    }
}

/// Prints as its name.
impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Precision, UnknownName> {
        let known = Precision::ALL.into_iter().find(|precision| precision.name() == name);
        known.ok_or_else(|| UnknownName::new(&Precision::ALL.map(Precision::name), name))
    }
}
