//! `y[…, first_i + c] = x_i[…, c]`: tensors concatenated along their last axis.

use kiln_graph::{Array, DType, Error, Form, Gradient, Lowering, Op, Pieces, Result, Shape, Step, TensorType};

use crate::case::Case;
use crate::kernels::concatenate as kernel;
use crate::tiles::channel_tiles;

/// Concatenates two or more tensors along their last axis: `([…, C1], […, C2], …) -> […, C1 + C2 + …]`.
#[derive(Clone, Copy, Debug)]
pub struct Concatenate;

/// A slice of the last axis: `[…, all] -> […, channels]`, from channel `first` on.
#[derive(Clone, Copy, Debug)]
pub struct ConcatenateGradient {
    /// The first channel of the slice.
    pub first: usize,
    /// The number of channels.
    pub channels: usize,
}

/// All extents but the last, and the last.
fn split(shape: &Shape) -> Option<(&[usize], usize)> {
    shape.split_last().map(|(&channels, outer)| (outer, channels))
}

/// The parameters for a part of so many channels, from the first one in all of them.
pub(crate) fn params(form: Form, pixels: usize, [channels, all, first]: [usize; 3]) -> kernel::Params {
    let [channels, all, first] = [channels, all, first].map(|values| form.units(values) as u32);
    kernel::Params { pixels: pixels as u32, channels, all, first }
}

impl Op for Concatenate {
    fn name(&self) -> &'static str {
        "concatenate"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let wrong =
            || Error::inputs(self.name(), "two or more f32 tensors that differ in their last axis at most", inputs);
        let parts: Option<Vec<_>> = inputs.iter().map(|input| split(&input.shape)).collect();
        let parts = parts.filter(|parts| parts.len() > 1).ok_or_else(wrong)?;
        let outer = parts[0].0;
        if inputs.iter().any(|input| input.dtype != DType::F32) || parts.iter().any(|part| part.0 != outer) {
            return Err(wrong());
        }
        let channels = parts.iter().map(|part| part.1).sum();
        Ok(vec![TensorType::f32([outer, &[channels]].concat())])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (inputs, y) = (lowering.inputs().to_vec(), lowering.outputs()[0]);
        let all = self.infer(&lowering.input_types())?[0].shape.last().copied().unwrap_or(1);
        let mut first = 0;
        for x in inputs {
            let channels = lowering.shape(x).last().copied().unwrap_or(1);
            let pixels = lowering.shape(x).elements() / channels.max(1);
            let form = lowering.form([channels, all, first]);
            let params = params(form, pixels, [channels, all, first]);
            lowering.push(kernel::Forward { x, y }.call(form, params, channel_tiles(form, pixels, channels)));
            first += channels;
        }
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        let Some(dy) = gradient.output_gradient(0) else { return Ok(()) };
        let mut first = 0;
        for input in 0..gradient.inputs().len() {
            let channels = gradient.shape(gradient.inputs()[input]).last().copied().unwrap_or(1);
            if gradient.wants(input) {
                let dx = gradient.add(ConcatenateGradient { first, channels }, &[dy])?;
                gradient.set(input, dx);
            }
            first += channels;
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let widths: Vec<usize> = inputs.iter().map(|input| input.shape().last().copied().unwrap_or(1)).collect();
        let outer = split(inputs[0].shape()).map(|(outer, _)| outer).unwrap_or_default();
        let rows: usize = outer.iter().product();
        let parts = |row: usize| inputs.iter().zip(&widths).flat_map(move |(x, &c)| x.data[row * c..][..c].to_vec());
        let y = (0..rows).flat_map(parts).collect();
        vec![Array::f32([outer, &[widths.iter().sum()]].concat(), y)]
    }
}

impl Op for ConcatenateGradient {
    fn name(&self) -> &'static str {
        "concatenate_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let part = |dy: &TensorType| {
            let (outer, all) = split(&dy.shape)?;
            let end = self.first.checked_add(self.channels)?;
            (end <= all).then(|| TensorType::f32([outer, &[self.channels]].concat()))
        };
        match inputs {
            [dy] if dy.dtype == DType::F32 => part(dy),
            _ => None,
        }
        .map(|ty| vec![ty])
        .ok_or_else(|| {
            let expected = format!("f32 […, C] with at least {} + {} channels", self.first, self.channels);
            Error::inputs(self.name(), expected, inputs)
        })
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.infer(&lowering.input_types())?;
        let (dy, dx) = (lowering.inputs()[0], lowering.outputs()[0]);
        let all = lowering.shape(dy).last().copied().unwrap_or(1);
        let pixels = lowering.shape(dy).elements() / all.max(1);
        let form = lowering.form([self.channels, all, self.first]);
        let params = params(form, pixels, [self.channels, all, self.first]);
        lowering.push(kernel::Gradient { dy, dx }.call(form, params, channel_tiles(form, pixels, self.channels)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Some((outer, all)) = split(inputs[0].shape()) else { return Vec::new() };
        let rows = inputs[0].data.chunks(all.max(1));
        let dx = rows.flat_map(|row| row[self.first..][..self.channels].to_vec()).collect();
        vec![Array::f32([outer, &[self.channels]].concat(), dx)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |outer: &[usize], widths: &[usize]| {
        let part = |(i, &c): (usize, &usize)| Array::random([outer, &[c]].concat(), i as u64);
        let inputs: Vec<Array> = widths.iter().enumerate().map(part).collect();
        let all: Vec<usize> = (0..widths.len()).collect();
        Case::new(format!("concatenate {outer:?} {widths:?}"), Concatenate, inputs).differentiable(&all)
    };
    vec![
        case(&[1], &[1, 1]),
        case(&[3], &[5, 1, 2]),
        case(&[2, 3, 3], &[17, 3, 16]),
        case(&[257], &[1, 33]),
        case(&[3, 5], &[4, 8, 20]),
    ]
}
