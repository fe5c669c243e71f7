//! `y_i[…, c] = x[…, i C/parts + c]`: equal parts of the last axis.

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType};

use crate::case::Case;
use crate::concatenate::{Concatenate, ConcatenateGradient, params};
use crate::fill::Fill;
use crate::kernels::concatenate as kernel;
use crate::tiles::channel_tiles;

/// Splits the last axis into equal parts, the inverse of [`Concatenate`](crate::Concatenate): `[…, C] -> ([…, C / parts],
/// …)`.
#[derive(Clone, Copy, Debug)]
pub struct Split {
    /// The number of parts, at least two.
    pub parts: usize,
}

impl Split {
    /// The channels of a part.
    ///
    /// # Errors
    /// If the input cannot be split into equal parts.
    fn channels(&self, inputs: &[TensorType]) -> Result<usize> {
        let part = match inputs {
            [x] if x.dtype == DType::F32 && self.parts > 1 => x.shape.last().filter(|c| c.is_multiple_of(self.parts)),
            _ => None,
        };
        part.map(|all| all / self.parts).ok_or_else(|| {
            let expected = format!("f32 […, C], C a multiple of {}, in two or more parts", self.parts);
            Error::inputs(self.name(), expected, inputs)
        })
    }
}

impl Op for Split {
    fn name(&self) -> &'static str {
        "split"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let channels = self.channels(inputs)?;
        let outer = inputs[0].shape.split_last().map_or(&[][..], |(_, outer)| outer);
        Ok(vec![TensorType::f32([outer, &[channels]].concat()); self.parts])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let channels = self.channels(&lowering.input_types())?;
        let (dy, all) = (lowering.inputs()[0], channels * self.parts);
        let pixels = lowering.shape(dy).elements() / all.max(1);
        for (part, dx) in lowering.outputs().to_vec().into_iter().enumerate() {
            let form = lowering.form([channels]);
            let params = params(form, pixels, [channels, all, part * channels]);
            lowering.push(kernel::Gradient { dy, dx }.call(form, params, channel_tiles(form, pixels, channels)));
        }
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        let mut dys = Vec::with_capacity(self.parts);
        for output in 0..self.parts {
            dys.push(match gradient.output_gradient(output) {
                Some(dy) => dy,
                // The loss does not depend on this part.
                None => {
                    let shape = gradient.shape(gradient.outputs()[output]).clone();
                    gradient.add(Fill { value: 0.0, shape }, &[])?
                }
            });
        }
        let dx = gradient.add(Concatenate, &dys)?;
        gradient.set(0, dx);
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array> {
        let Ok(channels) = self.channels(&[inputs[0].ty.clone()]) else { return Vec::new() };
        let part = |part| ConcatenateGradient { first: part * channels, channels }.reference(inputs, step);
        (0..self.parts).flat_map(part).collect()
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |(shape, parts): (&[usize], usize)| {
        let name = format!("split {shape:?} in {parts}");
        Case::new(name, Split { parts }, vec![Array::random(shape, 1)]).differentiable(&[0])
    };
    [(&[6][..], 3), (&[2, 3, 5, 8], 2), (&[3, 4, 260], 4)].map(case).into()
}
