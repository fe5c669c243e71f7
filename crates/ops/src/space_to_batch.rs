//! `y[n, p, q, h, w, c] = x[n, h*block_y + p - top, w*block_x + q - left, c]`, 0 outside of x; and the inverse.

use kiln_graph::{Array, DType, Error, Form, Gradient, Lowering, Op, Result, Step, TensorType};

use crate::case::Case;
use crate::kernels::space_to_batch as kernel;
use crate::tiles::channel_tiles;
use crate::window::{Padding, dilated};

/// Splits images into interleaved grids, one for each offset of pixels modulo the block: `[N, H, W, C] -> [N block_y
/// block_x, h, w, C]`. Taps that are a block apart are adjacent in a grid, so a dilated convolution is one without dilation
/// on the grids.
#[derive(Clone, Copy, Debug)]
pub struct SpaceToBatch {
    /// Rows and columns of pixels between neighbours in a grid.
    pub block: [usize; 2],
    /// Rows of zeros above the image, and columns left of it.
    pub before: [usize; 2],
    /// Rows and columns of a grid. Pixels of the image outside of all grids are left out.
    pub grid: [usize; 2],
}

/// Joins interleaved grids to images, the inverse and the gradient of [`SpaceToBatch`]: `[N block_y block_x, h, w, C] -> [N,
/// H, W, C]`. Pixels outside of all grids are 0.
#[derive(Clone, Copy, Debug)]
pub struct BatchToSpace {
    /// As in [`SpaceToBatch`].
    pub block: [usize; 2],
    /// As in [`SpaceToBatch`].
    pub before: [usize; 2],
    /// The image's height and width, in pixels.
    pub image: [usize; 2],
}

/// The grids in which a dilated convolution with a stride of 1 is one without dilation and without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dilation {
    block: [usize; 2],
    before: [usize; 2],
    image: [usize; 2],
    grid: [usize; 2],
    out: [usize; 2],
}

impl Dilation {
    /// The grids for a window of `size` taps, `dilation` pixels apart, on an image. `None` if the window does not fit.
    pub fn new(image: [usize; 2], size: [usize; 2], dilation: [usize; 2], padding: Padding) -> Option<Dilation> {
        let extent = dilated(size, dilation)?;
        let along = |axis: usize| padding.along(image[axis], extent[axis], 1);
        let ([out_y, top], [out_x, left]) = (<[usize; 2]>::from(along(0)?), <[usize; 2]>::from(along(1)?));
        let out = [out_y, out_x];
        let grid = [0, 1].map(|axis| (out[axis] - 1) / dilation[axis] + size[axis]);
        Some(Dilation { block: dilation, before: [top, left], image, grid, out })
    }

    /// The image's height and width in a grid.
    pub fn grid(&self) -> [usize; 2] {
        self.grid
    }

    /// Splits images into grids.
    pub fn split_image(&self) -> SpaceToBatch {
        SpaceToBatch { block: self.block, before: self.before, grid: self.grid }
    }

    /// Joins grids to images.
    pub fn join_image(&self) -> BatchToSpace {
        BatchToSpace { block: self.block, before: self.before, image: self.image }
    }

    /// Splits results into grids.
    pub fn split_result(&self) -> SpaceToBatch {
        let grid = [0, 1].map(|axis| self.out[axis].div_ceil(self.block[axis]));
        SpaceToBatch { block: self.block, before: [0, 0], grid }
    }

    /// Joins grids to results.
    pub fn join_result(&self) -> BatchToSpace {
        BatchToSpace { block: self.block, before: [0, 0], image: self.out }
    }
}

/// The extents of images, and of the grids that they are split into.
struct Extents {
    images: [usize; 4],
    grids: [usize; 4],
    block: [usize; 2],
    before: [usize; 2],
}

impl Extents {
    fn overrides(&self) -> kernel::Overrides {
        let [_, height, width, channels] = self.images.map(|n| n as u32);
        let [_, rows, columns, _] = self.grids.map(|n| n as u32);
        let ([block_y, block_x], [top, left]) = (self.block.map(|n| n as u32), self.before.map(|n| n as u32));
        kernel::Overrides { block_x, block_y, channels, columns, height, left, rows, top, width }
    }

    /// Calls `visit(index in grids, index in images)` for every value of the images that is in a grid.
    fn each(&self, mut visit: impl FnMut(usize, usize)) {
        let ([images, height, width, channels], [_, rows, columns, _]) = (self.images, self.grids);
        let ([block_y, block_x], [top, left]) = (self.block, self.before);
        for at in 0..images * height * width * channels {
            let (pixel, c) = (at / channels, at % channels);
            let (y, x) = (pixel / width % height + top, pixel % width + left);
            if y / block_y < rows && x / block_x < columns {
                let grid = (pixel / (width * height) * block_y + y % block_y) * block_x + x % block_x;
                visit(((grid * rows + y / block_y) * columns + x / block_x) * channels + c, at);
            }
        }
    }
}

/// The only input, a batch of images.
fn images(inputs: &[TensorType]) -> Option<[usize; 4]> {
    match inputs {
        [x] if x.dtype == DType::F32 => x.shape.dims(),
        _ => None,
    }
}

impl SpaceToBatch {
    /// # Errors
    /// If the input is not one f32 tensor of images, or the block is 0.
    fn extents(&self, inputs: &[TensorType]) -> Result<Extents> {
        let SpaceToBatch { block, before, grid } = *self;
        let fit = |images: [usize; 4]| {
            let batch = images[0].checked_mul(block[0])?.checked_mul(block[1])?;
            let grids = [batch, grid[0], grid[1], images[3]];
            (block[0] > 0 && block[1] > 0).then_some(Extents { images, grids, block, before })
        };
        let expected = || Error::inputs(self.name(), format!("f32 [N, H, W, C] for a block of {block:?}"), inputs);
        images(inputs).and_then(fit).ok_or_else(expected)
    }
}

impl Op for SpaceToBatch {
    fn name(&self) -> &'static str {
        "space_to_batch"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.extents(inputs).map(|extents| vec![TensorType::f32(extents.grids)])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let extents = self.extents(&lowering.input_types())?;
        let [grids, rows, columns, channels] = extents.grids;
        let pixels = grids * rows * columns;
        let params = kernel::Params { pixels: pixels as u32 };
        lowering.push(kernel::Forward { x, y }.call(
            params,
            extents.overrides(),
            channel_tiles(Form::Values, pixels, channels),
        ));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let image = gradient.shape(gradient.inputs()[0]).dims().map(|[_, h, w, _]: [usize; 4]| [h, w]);
            let op = BatchToSpace { block: self.block, before: self.before, image: image.unwrap_or_default() };
            let dx = gradient.add(op, &[dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Ok(extents) = self.extents(&[inputs[0].ty.clone()]) else { return Vec::new() };
        let mut y = Array::zeros(extents.grids);
        extents.each(|grid, image| y.data[grid] = inputs[0].data[image]);
        vec![y]
    }
}

impl BatchToSpace {
    /// # Errors
    /// If the input is not one f32 tensor of grids, a multiple of the block.
    fn extents(&self, inputs: &[TensorType]) -> Result<Extents> {
        let BatchToSpace { block, before, image } = *self;
        let fit = |grids: [usize; 4]| {
            let of_image = block[0].checked_mul(block[1]).filter(|&of_image| of_image > 0)?;
            let images = [grids[0] / of_image, image[0], image[1], grids[3]];
            grids[0].is_multiple_of(of_image).then_some(Extents { images, grids, block, before })
        };
        let expected =
            || Error::inputs(self.name(), format!("f32 [N, h, w, C], N a multiple of a block of {block:?}"), inputs);
        images(inputs).and_then(fit).ok_or_else(expected)
    }
}

impl Op for BatchToSpace {
    fn name(&self) -> &'static str {
        "batch_to_space"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.extents(inputs).map(|extents| vec![TensorType::f32(extents.images)])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (dy, dx) = (lowering.inputs()[0], lowering.outputs()[0]);
        let extents = self.extents(&lowering.input_types())?;
        let [images, height, width, channels] = extents.images;
        let pixels = images * height * width;
        let params = kernel::Params { pixels: pixels as u32 };
        lowering.push(kernel::Gradient { dy, dx }.call(
            params,
            extents.overrides(),
            channel_tiles(Form::Values, pixels, channels),
        ));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let grid = gradient.shape(gradient.inputs()[0]).dims().map(|[_, h, w, _]: [usize; 4]| [h, w]);
            let op = SpaceToBatch { block: self.block, before: self.before, grid: grid.unwrap_or_default() };
            let dx = gradient.add(op, &[dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Ok(extents) = self.extents(&[inputs[0].ty.clone()]) else { return Vec::new() };
        let mut x = Array::zeros(extents.images);
        extents.each(|grid, image| x.data[image] = inputs[0].data[grid]);
        vec![x]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let shapes = [
        ([1, 1, 1, 1], [1, 1], [1, 1], Padding::Valid),
        ([2, 5, 7, 3], [3, 3], [2, 2], Padding::Same),
        ([2, 5, 7, 3], [3, 3], [2, 3], Padding::Valid),
        ([1, 9, 4, 17], [2, 3], [3, 1], Padding::Same),
    ];
    let mut cases = Vec::new();
    for (x, size, block, padding) in shapes {
        let Some(dilation) = Dilation::new([x[1], x[2]], size, block, padding) else { continue };
        let name = format!("{x:?} {size:?} by {block:?} {}", padding.name());
        let batch = x[0] * block[0] * block[1];
        let [split, result] = [dilation.split_image(), dilation.split_result()];
        let [image, grids] = [split, result].map(|op| Array::random([batch, op.grid[0], op.grid[1], x[3]], 2));
        cases.push(Case::new(format!("space_to_batch {name}"), split, vec![Array::random(x, 1)]).differentiable(&[0]));
        for (of, op, input) in [("image", dilation.join_image(), image), ("result", dilation.join_result(), grids)] {
            cases.push(Case::new(format!("batch_to_space {name}, {of}"), op, vec![input]).differentiable(&[0]));
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_has_the_taps_of_the_results_in_it() {
        let of = |padding| Dilation::new([7, 9], [3, 1], [2, 4], padding);
        let valid = Dilation { block: [2, 4], before: [0, 0], image: [7, 9], grid: [4, 3], out: [3, 9] };
        assert_eq!(of(Padding::Valid), Some(valid));
        assert_eq!(of(Padding::Same), Some(Dilation { before: [2, 0], grid: [6, 3], out: [7, 9], ..valid }));
        assert_eq!(Dilation::new([4, 4], [3, 3], [2, 2], Padding::Valid), None);
        assert_eq!(Dilation::new([4, 4], [3, 3], [0, 1], Padding::Same), None);
    }
}
