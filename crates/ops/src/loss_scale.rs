//! `g = g / scale`, or 0 where g is not finite, and the scale of the next step.

use kiln_graph::{Array, DType, Error, Lowering, Op, Result, Step, TensorType, Window, linear_workgroups};

use crate::case::Case;
use crate::kernels::loss_scale as kernel;

/// The number of elements per workgroup of the first pass.
const CHUNK: usize = 64 * 256;

/// Dynamic loss scaling, as Keras' `LossScaleOptimizer`: updates the gradients, a flat tensor, and the state, a
/// `u32 [4]`: the bits of the scale as an f32, a power of two; the number of finite steps since it last changed; the
/// number of skipped steps; and whether the optimizer must skip this step. The scale doubles after `growth_interval` finite
/// steps. If a gradient is not finite, it halves, and the step is skipped. It stays within 2^-126 to 2^126. Gradients that
/// are not finite become 0, so that clipping leaves no NaN in the gaps between variables.
#[derive(Clone, Copy, Debug)]
pub struct LossScale {
    /// The number of finite steps after which the scale doubles.
    pub growth_interval: u32,
    /// Elements of the gradients.
    pub count: usize,
}

impl LossScale {
    /// The type of the state.
    pub fn state() -> TensorType {
        TensorType::new([4], DType::U32)
    }
}

impl Op for LossScale {
    fn name(&self) -> &'static str {
        "loss_scale"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [] => Ok(vec![TensorType::f32([self.count]), LossScale::state()]),
            _ => Err(Error::inputs(self.name(), "no inputs", inputs)),
        }
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (gradients, state) = (lowering.outputs()[0], lowering.outputs()[1]);
        let chunks = self.count.div_ceil(CHUNK).max(1);
        let each = kernel::FLAGS as usize;
        let flags = lowering.scratch(TensorType::new([chunks, each], DType::U32));
        let params = |count: usize| kernel::Params { count: count as u32, interval: self.growth_interval };
        for Window { units, parts: [gradients, flags] } in lowering.windows(chunks, [(gradients, CHUNK), (flags, each)])
        {
            let count = lowering.shape(gradients).elements();
            let unscale = kernel::Unscale { gradients, scale: state, flags };
            lowering.push(unscale.call(params(count), linear_workgroups(units.len(), 1)));
        }
        lowering.push(kernel::Update { noted: flags, state }.call(params(chunks), [1, 1, 1]));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let scale_of = |state: &Array| f64::from(f32::from_bits(state.data[0] as u32));
        let (gradients, mut state) = (inputs[0], inputs[1].clone());
        let scale = scale_of(&state);
        let unscaled = gradients.data.iter().map(|&g| if g.is_finite() { g / scale } else { 0.0 }).collect();
        let is_finite = gradients.data.iter().all(|g| g.is_finite());
        let finite = if is_finite { state.data[1] + 1.0 } else { 0.0 };
        let grows = finite >= f64::from(self.growth_interval);
        let next = match (is_finite, grows) {
            (false, _) => (scale / 2.0).max(f64::from(f32::MIN_POSITIVE)),
            (true, true) => (scale * 2.0).min(126_f64.exp2()),
            (true, false) => scale,
        };
        let skip = if is_finite { 0.0 } else { 1.0 };
        let finite = if grows { 0.0 } else { finite };
        state.data = vec![f64::from((next as f32).to_bits()), finite, state.data[2] + skip, skip];
        vec![Array::f32([self.count], unscaled), state]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    // An infinite gradient is one of the special values with which cases are checked, too.
    let case = |(count, exponent, finite): (usize, i32, u32)| {
        let scale = f64::from(exponent).exp2();
        let mut gradients = Array::random([count], 1);
        gradients.data.iter_mut().for_each(|g| *g *= scale.clamp(1e-30, 1e30));
        let state = [f64::from((scale as f32).to_bits()), f64::from(finite), 5.0, 1.0].to_vec();
        let old = vec![gradients, Array::new(LossScale::state(), state)];
        let name = format!("loss_scale 2^{exponent} after {finite} finite steps [{count}]");
        Case::new(name, LossScale { growth_interval: 20, count }, vec![]).rewriting(old)
    };
    [(1, 15, 0), (3, 15, 18), (257, 15, 19), (17_000, 3, 7), (40_000, 3, 19), (257, 126, 19), (3, -126, 0)]
        .map(case)
        .into()
}
