//! `y[n, top + h, left + w, c] = x[n, h, w, c]`, 0 elsewhere.

use kiln_graph::{Array, DType, Error, Form, Gradient, Lowering, Op, Pieces, Result, Step, TensorType};

use crate::case::Case;
use crate::kernels::zero_pad2d as kernel;
use crate::tiles::channel_tiles;

/// Pads images with zeros: `[N, H, W, C] -> [N, top + H + bottom, left + W + right, C]`.
#[derive(Clone, Copy, Debug)]
pub struct ZeroPad2d {
    /// Rows above and below, columns to the left and right: `[[top, bottom], [left, right]]`, in pixels.
    pub padding: [[usize; 2]; 2],
}

/// The gradient of [`ZeroPad2d`], which crops images: `dy [N, top + H + bottom, left + W + right, C] -> [N, H, W,
/// C]`.
#[derive(Clone, Copy, Debug)]
pub struct ZeroPad2dGradient {
    /// The padding.
    pub pad: ZeroPad2d,
}

impl ZeroPad2d {
    /// The extents of the padded images.
    fn padded(&self, [images, height, width, channels]: [usize; 4]) -> Option<[usize; 4]> {
        let [[top, bottom], [left, right]] = self.padding;
        let rows = height.checked_add(top)?.checked_add(bottom)?;
        let columns = width.checked_add(left)?.checked_add(right)?;
        Some([images, rows, columns, channels])
    }

    /// The extents of the images and of the padded ones.
    ///
    /// # Errors
    /// If the input is not one f32 tensor of images.
    fn images(&self, inputs: &[TensorType]) -> Result<[[usize; 4]; 2]> {
        let fit = |x: &TensorType| {
            let x = x.shape.dims()?;
            Some([x, self.padded(x)?])
        };
        match inputs {
            [x] if x.dtype == DType::F32 => fit(x),
            _ => None,
        }
        .ok_or_else(|| Error::inputs(self.name(), "f32 [N, H, W, C]", inputs))
    }

    /// A kernel's parameters for `rows` rows of its output.
    fn params(&self, form: Form, [x, y]: [[usize; 4]; 2], rows: usize) -> kernel::Params {
        let [[top, _], [left, _]] = self.padding;
        let [rows, height, out_height] = [rows, x[1], y[1]].map(|n| n as u32);
        let [columns, out_columns, left] = [x[2], y[2], left].map(|n| form.units(n * x[3]) as u32);
        kernel::Params { rows, height, out_height, columns, out_columns, top: top as u32, left }
    }
}

/// Calls `visit(index in y, index in x)` for every value of the images.
fn each([x, y]: [[usize; 4]; 2], [[top, _], [left, _]]: [[usize; 2]; 2], mut visit: impl FnMut(usize, usize)) {
    for at in 0..x.iter().product() {
        let (pixel, c) = (at / x[3], at % x[3]);
        let (row, w) = (pixel / x[2], pixel % x[2]);
        let (n, h) = (row / x[1], row % x[1]);
        visit(((n * y[1] + top + h) * y[2] + left + w) * x[3] + c, at);
    }
}

impl Op for ZeroPad2d {
    fn name(&self) -> &'static str {
        "zero_pad2d"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.images(inputs).map(|[_, y]| vec![TensorType::f32(y)])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let extents @ [_, padded] = self.images(&lowering.input_types())?;
        let (rows, columns) = (padded[0] * padded[1], padded[2] * padded[3]);
        let form = lowering.form([padded[3]]);
        let params = self.params(form, extents, rows);
        lowering.push(kernel::Forward { x, y }.call(form, params, channel_tiles(form, rows, columns)));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let dx = gradient.add(ZeroPad2dGradient { pad: *self }, &[dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Ok(extents) = self.images(&[inputs[0].ty.clone()]) else { return Vec::new() };
        let mut y = Array::zeros(extents[1]);
        each(extents, self.padding, |padded, at| y.data[padded] = inputs[0].data[at]);
        vec![y]
    }
}

impl ZeroPad2dGradient {
    /// The extents of the images and of the padded ones.
    ///
    /// # Errors
    /// If the input is not one f32 tensor of images larger than the padding.
    fn images(&self, inputs: &[TensorType]) -> Result<[[usize; 4]; 2]> {
        let [[top, bottom], [left, right]] = self.pad.padding;
        let fit = |dy: &TensorType| {
            let y @ [images, rows, columns, channels] = dy.shape.dims()?;
            let height = rows.checked_sub(top.checked_add(bottom)?)?;
            let width = columns.checked_sub(left.checked_add(right)?)?;
            Some([[images, height, width, channels], y])
        };
        match inputs {
            [dy] if dy.dtype == DType::F32 => fit(dy),
            _ => None,
        }
        .ok_or_else(|| {
            let expected = format!("f32 dy [N, {top} + H + {bottom}, {left} + W + {right}, C]");
            Error::inputs(self.name(), expected, inputs)
        })
    }
}

impl Op for ZeroPad2dGradient {
    fn name(&self) -> &'static str {
        "zero_pad2d_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.images(inputs).map(|[x, _]| vec![TensorType::f32(x)])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (dy, dx) = (lowering.inputs()[0], lowering.outputs()[0]);
        let extents @ [x, _] = self.images(&lowering.input_types())?;
        let (rows, columns) = (x[0] * x[1], x[2] * x[3]);
        let form = lowering.form([x[3]]);
        let params = self.pad.params(form, extents, rows);
        lowering.push(kernel::Gradient { dy, dx }.call(form, params, channel_tiles(form, rows, columns)));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dx) = gradient.output_gradient(0) {
            let dy = gradient.add(self.pad, &[dx])?;
            gradient.set(0, dy);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Ok(extents) = self.images(&[inputs[0].ty.clone()]) else { return Vec::new() };
        let mut dx = Array::zeros(extents[0]);
        each(extents, self.pad.padding, |padded, at| dx.data[at] = inputs[0].data[padded]);
        vec![dx]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |(x, padding): ([usize; 4], [[usize; 2]; 2])| {
        let name = format!("zero_pad2d {x:?} {padding:?}");
        Case::new(name, ZeroPad2d { padding }, vec![Array::random(x, 1)]).differentiable(&[0])
    };
    let crop = ZeroPad2dGradient { pad: ZeroPad2d { padding: [[1, 2], [0, 3]] } };
    let crop = Case::new("zero_pad2d_gradient", crop, vec![Array::random([2, 5, 6, 3], 1)]).differentiable(&[0]);
    let cases = [
        ([1, 1, 1, 1], [[0, 0], [0, 0]]),
        ([2, 3, 5, 3], [[1, 2], [3, 4]]),
        ([1, 7, 3, 1], [[0, 1], [0, 1]]),
        ([3, 2, 2, 17], [[2, 0], [1, 0]]),
        ([1, 257, 1, 3], [[3, 3], [3, 3]]),
        ([2, 3, 5, 4], [[1, 2], [3, 4]]),
        ([1, 19, 5, 20], [[0, 1], [2, 0]]),
    ];
    cases.map(case).into_iter().chain([crop]).collect()
}
