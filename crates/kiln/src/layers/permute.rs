use kiln_graph::{Result, Shape, Tensor};
use kiln_ops as ops;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::saved::Saved;
use super::{BuildError, Call, Layer};

/// The axes of a sample in another order: axis `i` of the output is axis `dims[i]` of the input.
///
/// # Shapes
/// In: any with as many axes as `dims` has. Out: the same extents, in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Permute {
    /// The axes of the input, each once, beginning with 1: axis 0 is the batch.
    pub dims: Vec<usize>,
}

impl Permute {
    /// A layer with this order of axes, beginning with 1: `Permute::new([2, 1])` transposes a matrix.
    pub fn new(dims: impl Into<Vec<usize>>) -> Permute {
        Permute { dims: dims.into() }
    }
}

impl Layer for Permute {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        let mut sorted = self.dims.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(1..=input.len()) {
            let expected = format!("the axes 1 to {}, each once", input.len());
            return Err(BuildError::argument("dims", expected, format!("{:?}", self.dims)));
        }
        let extents: Vec<usize> = self.dims.iter().map(|&axis| input[axis - 1]).collect();
        Ok(extents.into())
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let order = [&[0], &self.dims[..]].concat();
        call.add(ops::Permute { order }, &[call.input()])
    }
}

impl Saved for Permute {
    fn fixed() -> Value {
        json!({})
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn each_axis_is_named_once() {
        assert_eq!(Permute::new([3, 1, 2]).output_shape(&[4, 5, 6].into()), Ok([6, 4, 5].into()));
        for dims in [vec![2, 1], vec![0, 1, 2], vec![1, 1, 2], vec![1, 2, 4]] {
            let error = Permute::new(dims.clone()).output_shape(&[4, 5, 6].into()).unwrap_err().to_string();
            assert_eq!(error, format!("dims: expected the axes 1 to 3, each once, found {dims:?}"));
        }
    }
}
