//! `y[n, c] = max over h, w of x[n, h, w, c]`.

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType};

use crate::case::Case;
use crate::global_avg_pool2d::images;
use crate::kernels::global_max_pool2d as kernel;
use crate::nan::larger;
use crate::tiles::image_channel_tiles;

/// The maximum of each channel of each image, or NaN if it has one: `[N, H, W, C] -> [N, C]`.
#[derive(Clone, Copy, Debug)]
pub struct GlobalMaxPool2d;

/// `dx = dy / m` at each of the `m` equal maxima of a channel, as in TensorFlow, else 0: `(x [N, H, W, C], dy [N, C])
/// -> [N, H, W, C]`. The gradient of a channel with a NaN is NaN.
#[derive(Clone, Copy, Debug)]
pub struct GlobalMaxPool2dGradient;

fn params([images, height, width, channels]: [usize; 4]) -> kernel::Params {
    let [images, pixels, channels] = [images, height * width, channels].map(|n| n as u32);
    kernel::Params { images, pixels, channels }
}

/// The maximum of each image and channel.
fn maxima(x: &Array, [images, height, width, channels]: [usize; 4]) -> Vec<f64> {
    let mut most = vec![f64::NEG_INFINITY; images * channels];
    for (at, &v) in x.data.iter().enumerate() {
        let most = &mut most[at / (height * width * channels) * channels + at % channels];
        *most = larger(*most, v);
    }
    most
}

impl Op for GlobalMaxPool2d {
    fn name(&self) -> &'static str {
        "global_max_pool2d"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        images(self.name(), inputs).map(|[images, _, _, channels]| vec![TensorType::f32([images, channels])])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let extents = images(self.name(), &lowering.input_types())?;
        let workgroups = image_channel_tiles(extents[0], extents[3]);
        lowering.push(kernel::Forward { x, y }.call(params(extents), workgroups));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let x = gradient.inputs()[0];
            let dx = gradient.add(GlobalMaxPool2dGradient, &[x, dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Ok(extents) = images(self.name(), &[inputs[0].ty.clone()]) else { return Vec::new() };
        vec![Array::f32([extents[0], extents[3]], maxima(inputs[0], extents))]
    }
}

impl GlobalMaxPool2dGradient {
    /// The extents of the images.
    ///
    /// # Errors
    /// If the inputs do not match.
    fn images(&self, inputs: &[TensorType]) -> Result<[usize; 4]> {
        let fit = |x: &TensorType, dy: &TensorType| {
            let extents = images(self.name(), std::slice::from_ref(x)).ok()?;
            (*dy == TensorType::f32([extents[0], extents[3]])).then_some(extents)
        };
        match inputs {
            [x, dy] => fit(x, dy),
            _ => None,
        }
        .ok_or_else(|| Error::inputs(self.name(), "f32 (x [N, H, W, C], dy [N, C])", inputs))
    }
}

impl Op for GlobalMaxPool2dGradient {
    fn name(&self) -> &'static str {
        "global_max_pool2d_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.images(inputs).map(|x| vec![TensorType::f32(x)])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, dy, dx) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let extents = self.images(&lowering.input_types())?;
        let workgroups = image_channel_tiles(extents[0], extents[3]);
        lowering.push(kernel::Gradient { x, dy, dx }.call(params(extents), workgroups));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Ok(extents) = images(self.name(), &[inputs[0].ty.clone()]) else { return Vec::new() };
        let [_, height, width, channels] = extents;
        let y = maxima(inputs[0], extents);
        let channel = |at: usize| at / (height * width * channels) * channels + at % channels;
        let mut ties = vec![0.0; y.len()];
        for (at, &v) in inputs[0].data.iter().enumerate() {
            ties[channel(at)] += f64::from(u8::from(v == y[channel(at)]));
        }
        let share = |(at, &v): (usize, &f64)| match channel(at) {
            i if y[i].is_nan() => f64::NAN,
            i if v == y[i] => inputs[1].data[i] / ties[i],
            _ => 0.0,
        };
        vec![Array::f32(extents, inputs[0].data.iter().enumerate().map(share).collect())]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for x in crate::global_avg_pool2d::SHAPES {
        let op = Case::new(format!("global_max_pool2d {x:?}"), GlobalMaxPool2d, vec![Array::random(x, 1)]);
        cases.push(op.differentiable(&[0]));
        // Few different values, so that most channels have equal maxima.
        let mut ties = Array::random_below(x, DType::U32, 3, 5);
        ties.ty.dtype = DType::F32;
        let inputs = vec![ties, Array::random([x[0], x[3]], 2)];
        cases.push(Case::new(format!("global_max_pool2d_gradient ties {x:?}"), GlobalMaxPool2dGradient, inputs));
    }
    cases
}
