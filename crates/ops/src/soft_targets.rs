//! `t[n, c] = scale (1 where c is the label of n, else 0) + offset`.

use kiln_graph::{Array, DType, Error, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::soft_targets as kernel;

/// Label smoothing: labels u32 `[N]` or f32 `[N, C]` to f32 `[N, C]`. With one class, a label is the weight itself.
#[derive(Clone, Copy, Debug)]
pub struct SoftTargets {
    /// The number of classes, C.
    pub classes: usize,
    /// The factor of weights: 1 without smoothing.
    pub scale: f32,
    /// The offset added: 0 without smoothing.
    pub offset: f32,
}

impl Op for SoftTargets {
    fn name(&self) -> &'static str {
        "soft_targets"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let rows = match inputs {
            [labels] if labels.dtype == DType::U32 => labels.shape.dims().map(|[rows]| rows),
            [labels] if labels.dtype == DType::F32 => {
                labels.shape.dims().filter(|&[_, classes]| classes == self.classes).map(|[rows, _]| rows)
            }
            _ => None,
        };
        match rows {
            Some(rows) => Ok(vec![TensorType::f32([rows, self.classes])]),
            None => Err(Error::inputs(self.name(), format!("labels u32 [N] or f32 [N, {}]", self.classes), inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (labels, t) = (lowering.inputs()[0], lowering.outputs()[0]);
        let SoftTargets { classes, scale, offset } = *self;
        let count = lowering.shape(t).elements();
        let overrides = kernel::Overrides { one_hot: lowering.ty(labels).dtype == DType::F32 };
        let params = kernel::Params { count: count as u32, classes: classes as u32, scale, offset };
        lowering.push(kernel::Forward { labels, t }.call(params, overrides, linear_workgroups(count, 256)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let rows = inputs[0].shape()[0];
        let weight = |i: usize| match inputs[0].ty.dtype {
            DType::F32 => inputs[0].data[i],
            _ if self.classes == 1 => inputs[0].data[i],
            _ => f64::from(inputs[0].data[i / self.classes] as usize == i % self.classes),
        };
        let t = (0..rows * self.classes).map(|i| f64::from(self.scale) * weight(i) + f64::from(self.offset)).collect();
        vec![Array::f32([rows, self.classes], t)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for [rows, classes] in [[1, 1], [3, 1], [3, 10], [257, 3]] {
        let op = SoftTargets { classes, scale: 0.875, offset: 0.25 };
        let indices = Array::random_below([rows], DType::U32, classes.max(2) as u64, 1);
        for (kind, labels) in [("indices", indices), ("weights", Array::random([rows, classes], 2))] {
            cases.push(Case::new(format!("soft_targets [{rows}, {classes}] {kind}"), op, vec![labels]));
        }
    }
    cases
}
