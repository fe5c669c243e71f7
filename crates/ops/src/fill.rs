//! `y = value`, everywhere.

use kiln_graph::{Array, Error, Lowering, Op, Pieces, Result, Shape, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::fill as kernel;

/// A tensor of one value: `() -> shape`.
#[derive(Clone, Debug)]
pub struct Fill {
    /// The value.
    pub value: f32,
    /// The tensor's extents, in elements.
    pub shape: Shape,
}

impl Op for Fill {
    fn name(&self) -> &'static str {
        "fill"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [] => Ok(vec![TensorType::f32(self.shape.clone())]),
            _ => Err(Error::inputs(self.name(), "no tensor", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Elements
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let y = lowering.outputs()[0];
        let count = lowering.shape(y).elements();
        let params = kernel::Params { count: count as u32, value: self.value };
        lowering.push(kernel::Forward { y }.call(params, linear_workgroups(count, 256)));
        Ok(())
    }

    fn reference(&self, _: &[&Array], _: &Step) -> Vec<Array> {
        vec![Array::f32(self.shape.clone(), vec![f64::from(self.value); self.shape.elements()])]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    [1, 3, 257].map(|n| Case::new(format!("fill [{n}]"), Fill { value: 0.5, shape: [n].into() }, vec![])).into()
}
