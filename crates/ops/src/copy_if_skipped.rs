//! `y = x` if the step is to be skipped.

use kiln_graph::{Array, DType, Error, Lowering, Op, Result, Step, TensorType, Window, linear_workgroups};

use crate::case::Case;
use crate::kernels::copy_if_skipped as kernel;
use crate::loss_scale::LossScale;

/// Copies `x` if the state of [`LossScale`] says that the step is to be skipped: `(x […], state [4]) -> […]`. Otherwise
/// nothing is read or written: a new tensor has any values, an updated one keeps its own.
#[derive(Clone, Copy, Debug)]
pub struct CopyIfSkipped;

impl Op for CopyIfSkipped {
    fn name(&self) -> &'static str {
        "copy_if_skipped"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [x, state] if x.dtype == DType::F32 && *state == LossScale::state() => Ok(vec![x.clone()]),
            _ => Err(Error::inputs(self.name(), "f32 x and the state of loss_scale, u32 [4]", inputs)),
        }
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, state, y) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let count = lowering.shape(x).elements();
        for Window { units, parts: [x, y] } in lowering.windows(count, [(x, 1), (y, 1)]) {
            let params = kernel::Params { count: units.len() as u32 };
            lowering.push(kernel::Forward { x, state, y }.call(params, linear_workgroups(units.len(), 256)));
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let skips = inputs[1].data.get(3).is_some_and(|&skip| skip != 0.0);
        vec![inputs.get(2).filter(|_| !skips).map_or_else(|| inputs[0].clone(), |&old| old.clone())]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |(count, skip): (usize, f64)| {
        let state = Array::new(LossScale::state(), vec![f64::from(1f32.to_bits()), 3.0, 4.0, skip]);
        let name = format!("copy_if_skipped {skip} [{count}]");
        Case::new(name, CopyIfSkipped, vec![Array::random([count], 1), state])
            .rewriting(vec![Array::random([count], 2)])
    };
    [(1, 0.0), (1, 1.0), (3, 0.0), (257, 1.0), (257, 0.0)].map(case).into()
}
