//! `y[i, …] = scale * x[order[first + i], …] + offset`.

use kiln_graph::{Array, DType, Error, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::gather as kernel;

/// A batch of a data set on the device, in the epoch's order, from the step's `first` on: `(x [samples, …], order u32
/// [places]) -> [batch, …]`. u8 and f32 are converted to scaled f32; u32 are copied.
#[derive(Clone, Copy, Debug)]
pub struct Gather {
    /// The number of samples.
    pub batch: usize,
    /// The scale of u8 and f32.
    pub scale: f32,
    /// The offset added to scaled values.
    pub offset: f32,
}

impl Op for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [x, order] if order.dtype == DType::U32 && order.shape.len() == 1 && !x.shape.is_empty() => {
                let dtype = if x.dtype == DType::U32 { DType::U32 } else { DType::F32 };
                Ok(vec![TensorType::new(x.shape.sample().batched(self.batch), dtype)])
            }
            _ => Err(Error::inputs(self.name(), "(x [samples, …], order u32 [places])", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::SamplesOf(Vec::new())
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, order, y) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let (count, elements) = (lowering.shape(y).elements(), lowering.shape(y).sample().elements());
        let overrides = kernel::Overrides { elements: elements.max(1) as u32 };
        let [count_of_y, first] = [count, lowering.first()].map(|n| n as u32);
        let params = kernel::Params { count: count_of_y, first, scale: self.scale, offset: self.offset };
        let workgroups = linear_workgroups(count, 256);
        lowering.push(match lowering.ty(x).dtype {
            DType::U8 => kernel::Bytes { x, order, y }.call(params, overrides, workgroups),
            DType::F32 => kernel::Floats { x, order, y }.call(params, overrides, workgroups),
            DType::U32 => kernel::Integers { x, order, y }.call(params, overrides, workgroups),
        });
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array> {
        let (x, order) = (inputs[0], inputs[1]);
        let shape = x.shape().sample();
        let elements = shape.elements();
        let value = |v: f64| match x.ty.dtype {
            DType::U32 => v,
            _ => f64::from(self.scale) * v + f64::from(self.offset),
        };
        let rows = order.data[step.first as usize..][..self.batch].iter().map(|&row| row as usize);
        let y = rows.flat_map(|row| x.data[row * elements..][..elements].iter().map(|&v| value(v))).collect();
        let dtype = if x.ty.dtype == DType::U32 { DType::U32 } else { DType::F32 };
        vec![Array::new(TensorType::new(shape.batched(self.batch), dtype), y)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for [samples, elements, batch] in [[1, 1, 1], [7, 3, 3], [300, 5, 257]] {
        let order = Array::random_below([samples], DType::U32, samples as u64, 9);
        let data = [
            Array::random_below([samples, elements], DType::U8, 256, 1),
            Array::random([samples, elements], 2),
            Array::random_below([samples, elements], DType::U32, 1 << 30, 3),
        ];
        for x in data {
            let name = format!("gather {} of {}", batch, x.ty);
            let op = Gather { batch, scale: 1.0 / 255.0, offset: -0.5 };
            let step = Step { first: (samples - batch) as u32, ..Step::default() };
            cases.push(Case::new(name, op, vec![x, order.clone()]).at(step));
        }
    }
    cases
}
