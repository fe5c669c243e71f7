//! `y[n, oy, ox, k] = bias[k] + sum over r, s, c of x[n, oy*stride_y + r - top, ox*stride_x + s - left, c] kernel[r, s, c, k]`.

use std::sync::Arc;

use kiln_graph::{Array, DType, Error, Gradient, Kernel, Lowering, Op, Pieces, Result, Step, TensorType};

use crate::case::Case;
use crate::conv2d_input_gradient::Conv2dInputGradient;
use crate::conv2d_weight_gradient::Conv2dWeightGradient;
use crate::few_channels::FewChannels;
use crate::fold_batch_norm::{self, Convolution};
use crate::fused::{self, Epilogue, HasEpilogue};
use crate::kernels::lib::convolution;
use crate::kernels::{conv2d as kernel, conv2d_cooperative as cooperative, conv2d_subgroup as subgroup};
use crate::pad::{in_fours, quads_fit};
use crate::round_f16::rounded;
use crate::sum::SumRows;
use crate::tiles::{SUBGROUP_QUADS, Tile, subgroup_overrides, subgroup_tiles, tiles};
use crate::unfold::ImageInQuads;
use crate::window::{ImagePadding, Padding, SlidingWindow};
use crate::winograd::Winograd;

/// Convolution of images (cross-correlation, as in every framework): `(x [N, H, W, C], kernel [R, S, C, K], bias [K] if
/// any) -> [N, OH, OW, K]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d {
    /// Vertical and horizontal step, in pixels.
    pub strides: [usize; 2],
    /// The padding of the image.
    pub padding: ImagePadding,
    /// Whether there is a bias.
    pub bias: bool,
}

/// The tiles of its kernels.
const TILES: [(Tile, &Kernel); 5] = [
    (Tile::Cooperative, cooperative::SharedTiles::KERNEL),
    (Tile::Shared, kernel::SharedTiles::KERNEL),
    (Tile::Quads, kernel::Quads::KERNEL),
    (Tile::Subgroup, subgroup::Forward::KERNEL),
    (Tile::Columns, kernel::Forward::KERNEL),
];

/// The window of a convolution of `x` by `kernel`, if they match.
pub(crate) fn window(
    x: &[usize; 4],
    kernel: &[usize; 4],
    strides: [usize; 2],
    padding: ImagePadding,
) -> Option<SlidingWindow> {
    let [_, height, width, channels] = *x;
    let [r, s, depth, _] = *kernel;
    if channels != depth {
        return None;
    }
    SlidingWindow::new([height, width], [r, s], strides, padding)
}

impl Conv2d {
    /// The window, and the shapes of the image and of the kernel.
    ///
    /// # Errors
    /// If the inputs do not match.
    fn geometry(&self, inputs: &[TensorType]) -> Result<(SlidingWindow, [usize; 4], [usize; 4])> {
        let expected = format!(
            "f32 (x [N, H, W, C], kernel [R, S, C, K]{}) with strides {:?} and a window that fits ({} padding)",
            if self.bias { ", bias [K]" } else { "" },
            self.strides,
            self.padding
        );
        let wrong = || Error::inputs("conv2d", expected.clone(), inputs);
        let bias = match inputs {
            [_, _] if !self.bias => None,
            [_, _, bias] if self.bias => Some(bias),
            _ => return Err(wrong()),
        };
        let (Some(x), Some(kernel)) = (inputs[0].shape.dims(), inputs[1].shape.dims()) else { return Err(wrong()) };
        let fits = bias.is_none_or(|bias| bias.shape.dims() == Some([kernel[3]]));
        if !fits || inputs.iter().any(|ty| ty.dtype != DType::F32) {
            return Err(wrong());
        }
        let window = window(&x, &kernel, self.strides, self.padding).ok_or_else(wrong)?;
        Ok((window, x, kernel))
    }
}

impl Op for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let (window, [images, ..], [_, _, _, filters]) = self.geometry(inputs)?;
        Ok(vec![window.result(images, filters)])
    }

    fn pieces(&self) -> Pieces {
        Pieces::SamplesOf(vec![0])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.lower_with(lowering, Epilogue::Plain)
    }

    fn fuse(&self, next: &dyn Op, at: usize) -> Option<Arc<dyn Op>> {
        fused::fuse(self, next, at).or_else(|| fold_batch_norm::fuse(self, next, at))
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        let Some(dy) = gradient.output_gradient(0) else { return Ok(()) };
        let (x, kernel) = (gradient.inputs()[0], gradient.inputs()[1]);
        let Conv2d { strides, padding, .. } = *self;
        if gradient.wants(0) {
            let image = gradient.shape(x).dims().map(|[_, height, width, _]: [usize; 4]| [height, width]);
            let op = Conv2dInputGradient { strides, padding, image: image.unwrap_or_default() };
            let dx = gradient.add(op, &[dy, kernel])?;
            gradient.set(0, dx);
        }
        if gradient.wants(1) {
            let size = gradient.shape(kernel).dims().map(|[r, s, _, _]: [usize; 4]| [r, s]);
            let op = Conv2dWeightGradient { strides, padding, size: size.unwrap_or_default() };
            let dkernel = gradient.add(op, &[x, dy])?;
            gradient.set(1, dkernel);
        }
        if self.bias && gradient.wants(2) {
            let dbias = gradient.add(SumRows, &[dy])?;
            gradient.set(2, dbias);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let x = inputs[0].shape().dims().unwrap_or([0; 4]);
        let kernel = inputs[1].shape().dims().unwrap_or([0; 4]);
        let Some(window) = window(&x, &kernel, self.strides, self.padding) else { return Vec::new() };
        let ([images, _, _, depth], filters) = (x, kernel[3]);
        let (pixels, out_pixels) = window.pixels();
        let mut y = Array::zeros([images, window.out[0], window.out[1], filters]);
        if self.bias {
            y.data.iter_mut().enumerate().for_each(|(at, v)| *v = inputs[2].data[at % filters]);
        }
        for n in 0..images {
            window.each(|out, pixel, tap| {
                for c in 0..depth {
                    let v = inputs[0].data[(n * pixels + pixel) * depth + c];
                    for k in 0..filters {
                        y.data[(n * out_pixels + out) * filters + k] +=
                            v * inputs[1].data[(tap * depth + c) * filters + k];
                    }
                }
            });
        }
        vec![y]
    }
}

impl Convolution for Conv2d {
    fn has_bias(&self) -> bool {
        self.bias
    }

    fn with_bias(&self) -> Conv2d {
        Conv2d { bias: true, ..*self }
    }
}

impl HasEpilogue for Conv2d {
    fn arity(&self) -> usize {
        2 + usize::from(self.bias)
    }

    fn lower_with(&self, lowering: &mut Lowering, epilogue: Epilogue) -> Result<()> {
        let (x, weights, result) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let bias = if self.bias { lowering.inputs()[2] } else { weights };
        let (window, [images, ..], [r, s, depth, columns]) = self.geometry(&lowering.input_types()[..self.arity()])?;
        if let Some(winograd) = Winograd::of(lowering.limits(), &window, images, [depth, columns]) {
            let [x, weights] = rounded(lowering, [x, weights]);
            winograd.push(lowering, [x, weights, result], self.bias.then_some(bias), false, epilogue);
            return Ok(());
        }
        if let Some(convolution) = FewChannels::of(lowering.limits(), &window, images, [depth, columns]) {
            let [x, weights] = rounded(lowering, [x, weights]);
            convolution.push(lowering, [x, weights, result], self.bias.then_some(bias), epilogue);
            return Ok(());
        }
        let pixels = images * window.pixels().1;
        let params = |depth: usize| {
            let (pixels, channels) = (pixels as u32, depth as u32);
            convolution::Params { pixels, channels, phase_y: 0, phase_x: 0 }
        };
        let gates = epilogue.gates(weights);
        let source = ImageInQuads::new(window, images, depth);
        let fit = quads_fit(lowering, source.inner, [source.elements, r * s * depth * columns.next_multiple_of(4)]);
        let tile = Tile::choose(lowering, fit, &TILES);
        let [x, weights] = tile.factors(lowering, [x, weights]);
        let spread = tile.spread(pixels, columns);
        let convolution = |depth: usize, inner: usize| convolution::Overrides {
            depth: depth as u32,
            columns: columns as u32,
            has_bias: self.bias,
            inner: inner as u32,
        };
        let (epilogue, quads) = (epilogue.overrides(), spread.overrides());
        let call = if tile == Tile::Columns {
            let (params, convolution, window) = (params(depth), convolution(depth, depth), window.overrides());
            let tensors = kernel::Forward { source: x, weights, bias, gates, result };
            let overrides = kernel::Overrides { convolution, epilogue, quads, window };
            tensors.call(params, overrides, tiles(pixels, columns))
        } else {
            let padded = source.inner.next_multiple_of(4);
            let (params, convolution) = (params(padded), convolution(padded, source.inner));
            let window = source.window.overrides();
            let source = source.of(lowering, x);
            let weights4 = in_fours(lowering, weights, [r * s, depth, columns]);
            let overrides = kernel::Overrides { convolution, epilogue, quads, window };
            match tile {
                Tile::Subgroup => {
                    let (quads, subgroup) = (SUBGROUP_QUADS, subgroup_overrides(lowering.limits()));
                    let overrides = subgroup::Overrides { convolution, epilogue, quads, subgroup, window };
                    let tensors = subgroup::Forward { source, weights4, bias, gates, result };
                    tensors.call(params, overrides, subgroup_tiles(pixels, columns))
                }
                Tile::Cooperative => {
                    let overrides = cooperative::Overrides { convolution, epilogue, quads, window };
                    let tensors = cooperative::SharedTiles { source, weights4, bias, gates, result };
                    tensors.call(params, overrides, spread.workgroups)
                }
                Tile::Shared => {
                    let tensors = kernel::SharedTiles { source, weights4, bias, gates, result };
                    tensors.call(params, overrides, spread.workgroups)
                }
                _ => kernel::Quads { source, weights4, bias, gates, result }.call(params, overrides, spread.workgroups),
            }
        };
        lowering.push(call.flops(2 * pixels * r * s * depth * columns));
        Ok(())
    }
}

/// Test shapes of all three kernels of a convolution: image, kernel, strides.
pub(crate) const SHAPES: [([usize; 4], [usize; 4], [usize; 2]); 15] = [
    ([1, 1, 1, 1], [1, 1, 1, 1], [1, 1]),
    ([2, 7, 9, 1], [5, 5, 1, 20], [1, 1]),
    ([1, 6, 5, 20], [5, 5, 20, 50], [1, 1]),
    ([3, 5, 5, 3], [3, 3, 3, 33], [1, 1]),
    ([2, 8, 7, 8], [3, 3, 8, 4], [2, 2]),
    ([1, 9, 9, 5], [3, 2, 5, 7], [2, 3]),
    ([2, 4, 4, 4], [2, 2, 4, 3], [1, 1]),
    ([1, 5, 6, 3], [1, 1, 3, 257], [1, 1]),
    ([1, 3, 4, 257], [3, 3, 257, 2], [1, 1]),
    ([1, 7, 8, 4], [1, 7, 4, 5], [1, 1]),
    ([1, 8, 7, 4], [7, 1, 4, 5], [1, 1]),
    ([1, 12, 12, 8], [1, 1, 8, 12], [2, 2]),
    ([3, 9, 11, 16], [3, 3, 16, 33], [1, 1]),
    ([1, 10, 9, 70], [3, 3, 70, 66], [1, 1]),
    ([2, 7, 9, 18], [5, 5, 18, 34], [1, 1]),
];

/// Each shape with both paddings of Keras', and some with another one, if the window fits.
pub(crate) fn geometries()
-> impl Iterator<Item = (String, [usize; 4], [usize; 4], [usize; 2], ImagePadding, SlidingWindow)> {
    let keras = [Padding::Same, Padding::Valid].map(ImagePadding::Keras);
    let pixels = SHAPES.into_iter().map(|shape| (shape, ImagePadding::Pixels([[1, 2], [2, 0]])));
    let pixels = pixels.filter(|((_, [r, s, ..], _), _)| *r > 2 && *s > 2);
    let kinds = SHAPES.into_iter().flat_map(move |shape| keras.map(|padding| (shape, padding)));
    kinds.chain(pixels).filter_map(|((x, k, strides), padding)| {
        let name = format!("{x:?} {k:?} / {strides:?} {}", padding);
        Some((name, x, k, strides, padding, window(&x, &k, strides, padding)?))
    })
}

pub(crate) fn cases() -> Vec<Case> {
    geometries()
        .enumerate()
        .map(|(i, (name, x, kernel, strides, padding, _))| {
            let bias = i % 3 != 2;
            let mut inputs = vec![Array::random(x, 1), Array::random(kernel, 2)];
            inputs.extend(bias.then(|| Array::random([kernel[3]], 3)));
            let differentiable: Vec<usize> = (0..inputs.len()).collect();
            let op = Conv2d { strides, padding, bias };
            Case::new(format!("conv2d {name}"), op, inputs).differentiable(&differentiable)
        })
        .collect()
}
