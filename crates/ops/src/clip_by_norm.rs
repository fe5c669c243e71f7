//! `x = x limit / max(norm, limit)`, with `norm = sqrt(sum of x²)`.

use kiln_graph::{Array, Error, Lowering, Op, Result, Step, TensorType, Window, linear_workgroups};

use crate::case::Case;
use crate::kernels::clip_by_norm as kernel;
use crate::nan::larger;

/// The number of elements per workgroup of the first pass, which sums squares.
const CHUNK: usize = 64 * 256;

/// Keras' `clipnorm`, or its `global_clipnorm` if the tensor has all gradients: updates a flat tensor.
#[derive(Clone, Copy, Debug)]
pub struct ClipByNorm {
    /// The largest Euclidean norm of the result.
    pub limit: f32,
    /// Elements of the tensor.
    pub count: usize,
}

impl Op for ClipByNorm {
    fn name(&self) -> &'static str {
        "clip_by_norm"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [] => Ok(vec![TensorType::f32([self.count])]),
            _ => Err(Error::inputs(self.name(), "no inputs", inputs)),
        }
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let x = lowering.outputs()[0];
        let chunks = self.count.div_ceil(CHUNK).max(1);
        let sums = lowering.scratch(TensorType::f32([chunks, 256]));
        let squared_norm = lowering.scratch(TensorType::f32([1]));
        let params = |count: usize| kernel::Params { count: count as u32, limit: self.limit };
        for Window { units, parts: [source, sums] } in lowering.windows(chunks, [(x, CHUNK), (sums, 256)]) {
            let count = lowering.shape(source).elements();
            lowering.push(kernel::Squares { source, sums }.call(params(count), linear_workgroups(units.len(), 1)));
        }
        let total = kernel::Total { source: sums, sums: squared_norm };
        lowering.push(total.call(params(chunks * 256), [1, 1, 1]));
        for Window { parts: [x], .. } in lowering.windows(self.count, [(x, 1)]) {
            let count = lowering.shape(x).elements();
            lowering.push(kernel::Scale { squared_norm, x }.call(params(count), linear_workgroups(count, 256)));
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let limit = f64::from(self.limit);
        let norm = inputs[0].data.iter().map(|value| value * value).sum::<f64>().sqrt();
        let clipped = inputs[0].data.iter().map(|value| value * limit / larger(norm, limit)).collect();
        vec![Array::f32([self.count], clipped)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |(count, limit): (usize, f32)| {
        let name = format!("clip_by_norm {limit} [{count}]");
        Case::new(name, ClipByNorm { limit, count }, vec![]).rewriting(vec![Array::random([count], 1)])
    };
    [(1, 0.25), (3, 0.25), (3, 100.0), (257, 1.0), (40_000, 1.0)].map(case).into()
}
