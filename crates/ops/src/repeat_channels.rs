//! `y[…, c*times + t] = x[…, c]`.

use kiln_graph::{
    Array, DType, Error, Gradient, Lowering, Op, Result, Shape, Step, TensorType, Window, linear_workgroups,
};

use crate::case::Case;
use crate::kernels::repeat_channels as kernel;

/// Repeats each value of the last axis: `[…, C] -> […, C times]`. With [`DepthwiseConv2d`](crate::DepthwiseConv2d), each
/// channel is convolved with several windows: Keras' `depth_multiplier`.
#[derive(Clone, Copy, Debug)]
pub struct RepeatChannels {
    /// How often each value is repeated, at least once.
    pub times: usize,
}

/// The gradient of [`RepeatChannels`], which adds adjacent values: `[…, C times] -> […, C]`.
#[derive(Clone, Copy, Debug)]
pub struct RepeatChannelsGradient {
    /// The number of adjacent values that are added.
    pub times: usize,
}

/// The shape with its last axis replaced.
fn with_channels(shape: &Shape, channels: usize) -> Shape {
    let outer = shape.split_last().map_or(&[][..], |(_, outer)| outer);
    [outer, &[channels]].concat().into()
}

impl Op for RepeatChannels {
    fn name(&self) -> &'static str {
        "repeat_channels"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let repeated = match inputs {
            [x] if x.dtype == DType::F32 && self.times > 0 => x.shape.last().and_then(|c| c.checked_mul(self.times)),
            _ => None,
        };
        repeated.map(|channels| vec![TensorType::f32(with_channels(&inputs[0].shape, channels))]).ok_or_else(|| {
            Error::inputs(self.name(), format!("one f32 tensor […, C] to repeat {} times", self.times), inputs)
        })
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.infer(&lowering.input_types())?;
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let values = lowering.shape(x).elements();
        for Window { units, parts: [x, y] } in lowering.windows(values, [(x, 1), (y, self.times)]) {
            let count = units.len() * self.times;
            let params = kernel::Params { count: count as u32, times: self.times as u32 };
            lowering.push(kernel::Forward { x, y }.call(params, linear_workgroups(count, 256)));
        }
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let dx = gradient.add(RepeatChannelsGradient { times: self.times }, &[dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Ok(types) = self.infer(&[inputs[0].ty.clone()]) else { return Vec::new() };
        let data = inputs[0].data.iter().flat_map(|&v| std::iter::repeat_n(v, self.times)).collect();
        vec![Array::f32(types[0].shape.clone(), data)]
    }
}

impl Op for RepeatChannelsGradient {
    fn name(&self) -> &'static str {
        "repeat_channels_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let channels = match inputs {
            [dy] if dy.dtype == DType::F32 && self.times > 0 => {
                dy.shape.last().filter(|c| c.is_multiple_of(self.times)).map(|c| c / self.times)
            }
            _ => None,
        };
        channels.map(|channels| vec![TensorType::f32(with_channels(&inputs[0].shape, channels))]).ok_or_else(|| {
            Error::inputs(self.name(), format!("one f32 tensor […, C], C a multiple of {}", self.times), inputs)
        })
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.infer(&lowering.input_types())?;
        let (dy, dx) = (lowering.inputs()[0], lowering.outputs()[0]);
        let values = lowering.shape(dx).elements();
        for Window { units, parts: [dy, dx] } in lowering.windows(values, [(dy, self.times), (dx, 1)]) {
            let params = kernel::Params { count: units.len() as u32, times: self.times as u32 };
            lowering.push(kernel::Gradient { dy, dx }.call(params, linear_workgroups(units.len(), 256)));
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Ok(types) = self.infer(&[inputs[0].ty.clone()]) else { return Vec::new() };
        let data = inputs[0].data.chunks(self.times).map(|values| values.iter().sum()).collect();
        vec![Array::f32(types[0].shape.clone(), data)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |(shape, times): (&[usize], usize)| {
        let name = format!("repeat_channels {shape:?} {times} times");
        Case::new(name, RepeatChannels { times }, vec![Array::random(shape, 1)]).differentiable(&[0])
    };
    [(&[1][..], 1), (&[2, 3, 5, 7], 3), (&[3, 257], 2), (&[1, 4, 4, 16], 2)].map(case).into()
}
