//! `y[i_order[0], i_order[1], …] = x[i_0, i_1, …]`: the axes of a tensor in another order.

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Result, Step, TensorType};

use crate::axes::{Axis, Grid, axes, each};
use crate::binary::combine;
use crate::case::Case;
use crate::kernels::binary as kernel;

/// The axes in another order: axis `i` of the output is axis `order[i]` of the input.
#[derive(Clone, Debug)]
pub struct Permute {
    /// The axes of the input, each once.
    pub order: Vec<usize>,
}

impl Permute {
    /// The order that reverses this one.
    pub fn inverse(&self) -> Permute {
        let mut order = vec![0; self.order.len()];
        for (to, &from) in self.order.iter().enumerate() {
            order[from] = to;
        }
        Permute { order }
    }

    /// The axes of the output with the strides of the input, twice.
    fn axes(&self, x: &[usize]) -> Option<Vec<Axis<2>>> {
        let mut sorted = self.order.clone();
        sorted.sort_unstable();
        let fits = sorted.len() == x.len() && sorted.into_iter().eq(0..x.len());
        let all = axes(x, [x, x]);
        fits.then(|| self.order.iter().map(|&axis| all[axis]).collect())
    }
}

impl Op for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let axes = match inputs {
            [x] if x.dtype == DType::F32 => self.axes(&x.shape),
            _ => None,
        };
        let out = axes.filter(|axes| Grid::of(axes.iter().copied()).is_some()).map(|axes| {
            let extents: Vec<usize> = axes.iter().map(|axis| axis.extent).collect();
            vec![TensorType::f32(extents)]
        });
        let expected = || format!("one f32 tensor with the axes {:?}, at most 5 of them apart", self.order);
        out.ok_or_else(|| Error::inputs(self.name(), expected(), inputs))
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.infer(&lowering.input_types())?;
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let axes = self.axes(lowering.shape(x));
        if let Some(grid) = axes.and_then(Grid::of) {
            combine(lowering, [x, x, y], &grid, (kernel::COPY, [0.0; 2]));
        }
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let dx = gradient.add(self.inverse(), &[dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Some(axes) = self.axes(inputs[0].shape()) else { return Vec::new() };
        let extents: Vec<usize> = axes.iter().map(|axis| axis.extent).collect();
        let mut y = Vec::new();
        each(&axes, |[at, _]| y.push(inputs[0].data[at]));
        vec![Array::f32(extents, y)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |(x, order): (&[usize], &[usize])| {
        let op = Permute { order: order.to_vec() };
        Case::new(format!("permute {x:?} {order:?}"), op, vec![Array::random(x, 1)]).differentiable(&[0])
    };
    let cases: [(&[usize], &[usize]); 7] = [
        (&[3], &[0]),
        (&[3, 5], &[1, 0]),
        (&[2, 3, 5, 7], &[0, 3, 1, 2]),
        (&[2, 3, 5, 17], &[0, 2, 1, 3]),
        (&[2, 1, 5, 3], &[0, 3, 2, 1]),
        (&[2, 3, 2, 2, 3], &[0, 4, 3, 2, 1]),
        (&[1, 33, 257], &[0, 2, 1]),
    ];
    cases.map(case).into()
}
