//! `y[n, iy, ix, k] = bias[k] + sum over r, s, c of x[n, (iy + top - r)/stride_y, (ix + left - s)/stride_x, c]
//! kernel[r, s, k, c]`.

use std::sync::Arc;

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType};

use crate::case::Case;
use crate::conv2d::{Conv2d, geometries};
use crate::conv2d_input_gradient::{Conv2dInputGradient, push};
use crate::conv2d_weight_gradient::Conv2dWeightGradient;
use crate::fused::{self, Epilogue, HasEpilogue};
use crate::sum::SumRows;
use crate::window::{ImagePadding, SlidingWindow};

/// The transpose of a convolution, as upsampling layers: the input gradient of [`Conv2d`] for images of `image`, with a
/// bias: `(x [N, OH, OW, C], kernel [R, S, K, C], bias [K] if any) -> [N, H, W, K]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dTranspose {
    /// The convolution's step, by which images grow.
    pub strides: [usize; 2],
    /// The convolution's padding, which is cut off.
    pub padding: ImagePadding,
    /// The height and width of the result, of which the convolution is of the size of `x`, in pixels.
    pub image: [usize; 2],
    /// Whether there is a bias.
    pub bias: bool,
}

impl Conv2dTranspose {
    fn of_gradient(&self) -> Conv2dInputGradient {
        Conv2dInputGradient { strides: self.strides, padding: self.padding, image: self.image }
    }

    /// The convolution's window, and the shape of the result.
    ///
    /// # Errors
    /// If the inputs do not match.
    fn geometry(&self, inputs: &[TensorType]) -> Result<(SlidingWindow, [usize; 4])> {
        let fitted = match inputs {
            [x, kernel] if !self.bias => self.of_gradient().fit(x, kernel),
            [x, kernel, bias] if self.bias => {
                self.of_gradient().fit(x, kernel).filter(|(_, y)| bias.shape.dims() == Some([y[3]]))
            }
            _ => None,
        };
        fitted.filter(|_| inputs.iter().all(|ty| ty.dtype == DType::F32)).ok_or_else(|| {
            let expected = format!(
                "f32 (x [N, OH, OW, C], kernel [R, S, K, C]{}), x of the size of the convolution of {:?} with strides {:?} \
                 ({} padding)",
                if self.bias { ", bias [K]" } else { "" },
                self.image,
                self.strides,
                self.padding
            );
            Error::inputs("conv2d_transpose", expected, inputs)
        })
    }
}

impl Op for Conv2dTranspose {
    fn name(&self) -> &'static str {
        "conv2d_transpose"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.geometry(inputs).map(|(_, y)| vec![TensorType::f32(y)])
    }

    fn pieces(&self) -> Pieces {
        Pieces::SamplesOf(vec![0])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.lower_with(lowering, Epilogue::Plain)
    }

    fn fuse(&self, next: &dyn Op, at: usize) -> Option<Arc<dyn Op>> {
        fused::fuse(self, next, at)
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        let Some(dy) = gradient.output_gradient(0) else { return Ok(()) };
        let (x, kernel) = (gradient.inputs()[0], gradient.inputs()[1]);
        let Conv2dTranspose { strides, padding, .. } = *self;
        if gradient.wants(0) {
            let dx = gradient.add(Conv2d { strides, padding, bias: false }, &[dy, kernel])?;
            gradient.set(0, dx);
        }
        if gradient.wants(1) {
            let size = gradient.shape(kernel).dims().map(|[r, s, _, _]: [usize; 4]| [r, s]).unwrap_or_default();
            let dkernel = gradient.add(Conv2dWeightGradient { strides, padding, size }, &[dy, x])?;
            gradient.set(1, dkernel);
        }
        if self.bias && gradient.wants(2) {
            let dbias = gradient.add(SumRows, &[dy])?;
            gradient.set(2, dbias);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array> {
        let mut y = self.of_gradient().reference(&inputs[..2], step);
        if self.bias {
            let bias = &inputs[2].data;
            y.iter_mut().flat_map(|y| &mut y.data).zip(bias.iter().cycle()).for_each(|(v, b)| *v += b);
        }
        y
    }
}

impl HasEpilogue for Conv2dTranspose {
    fn arity(&self) -> usize {
        2 + usize::from(self.bias)
    }

    fn lower_with(&self, lowering: &mut Lowering, epilogue: Epilogue) -> Result<()> {
        let (window, _) = self.geometry(&lowering.input_types()[..self.arity()])?;
        let (x, kernel, result) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let bias = self.bias.then(|| lowering.inputs()[2]);
        push(lowering, window, [x, kernel, result], bias, epilogue)
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |(i, (name, image, kernel, strides, padding, window)): (
        usize,
        (_, [usize; 4], [usize; 4], _, _, SlidingWindow),
    )| {
        let bias = i % 2 == 0;
        let mut inputs = vec![Array::random(window.result(image[0], kernel[3]).shape, 1), Array::random(kernel, 2)];
        inputs.extend(bias.then(|| Array::random([kernel[2]], 3)));
        let differentiable: Vec<usize> = (0..inputs.len()).collect();
        let op = Conv2dTranspose { strides, padding, image: [image[1], image[2]], bias };
        let name: String = name;
        Case::new(format!("conv2d_transpose {name}"), op, inputs).differentiable(&differentiable)
    };
    // The geometries of the input gradient, which has the same kernels, but for the bias.
    geometries().enumerate().step_by(3).map(case).collect()
}
