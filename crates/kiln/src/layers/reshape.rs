use kiln_graph::{Result, Shape, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::saved::Saved;
use super::{BuildError, Call, Layer};

/// The values of a sample, in the same order, with another shape. Free of cost.
///
/// # Shapes
/// In: any. Out: `target_shape`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reshape {
    /// The extents of a sample; one of them may be -1, for as many as are left.
    pub target_shape: Vec<i64>,
}

impl Reshape {
    /// A layer with this shape of a sample; one extent may be -1, for as many as are left: `Reshape::new([7, -1])`.
    pub fn new(target_shape: impl Into<Vec<i64>>) -> Reshape {
        Reshape { target_shape: target_shape.into() }
    }

    /// The extents for this many elements.
    fn extents(&self, elements: usize) -> Option<Vec<usize>> {
        let known = self.target_shape.iter().filter(|&&extent| extent != -1);
        let known = known.map(|&extent| usize::try_from(extent).ok()).collect::<Option<Vec<usize>>>()?;
        let product = known.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent))?;
        let left = elements.checked_div(product).unwrap_or_default();
        let fits = match self.target_shape.len() - known.len() {
            0 => product == elements,
            1 => product > 0 && product * left == elements,
            _ => false,
        };
        let extent = |&extent: &i64| usize::try_from(extent).unwrap_or(left);
        fits.then(|| self.target_shape.iter().map(extent).collect())
    }
}

impl Layer for Reshape {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        let elements = input.elements();
        let expected = format!("{elements} elements, as many as the input has, or -1 for one of the extents");
        let found = || format!("{:?}", self.target_shape);
        let extents = self.extents(elements);
        extents.map(Shape::from).ok_or_else(|| BuildError::argument("target_shape", expected, found()))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let shape = call.shape(call.input()).clone();
        let batch = shape.first().copied().unwrap_or(1);
        let extents = self.extents(shape.sample().elements()).unwrap_or_default();
        call.reshape(call.input(), [&[batch], &extents[..]].concat())
    }
}

impl Saved for Reshape {
    const HAS_BUILD_CONFIG: bool = false;

    fn fixed() -> Value {
        json!({})
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn one_extent_follows_from_the_others() {
        let shape = |target: &[i64]| Reshape::new(target).output_shape(&[4, 3, 2].into());
        assert_eq!(shape(&[-1]), Ok([24].into()));
        assert_eq!(shape(&[2, -1, 3]), Ok([2, 4, 3].into()));
        assert_eq!(shape(&[1, 1, 24]), Ok([1, 1, 24].into()));
        for wrong in [&[5, -1][..], &[-1, -1], &[23], &[-2, 12], &[0, -1], &[i64::MAX, 4, -1]] {
            let error = shape(wrong).unwrap_err().to_string();
            let expected = "target_shape: expected 24 elements, as many as the input has, or -1 for one of the extents";
            assert_eq!(error, format!("{expected}, found {wrong:?}"));
        }
    }
}
