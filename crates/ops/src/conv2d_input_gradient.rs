//! `dx[n, iy, ix, c] = sum over r, s, k of dy[n, (iy + top - r)/stride_y, (ix + left - s)/stride_x, k] kernel[r, s, c, k]`.

use std::sync::Arc;

use kiln_graph::{Array, Call, DType, Error, Kernel, Lowering, Op, Pieces, Result, Step, Tensor, TensorType};

use crate::case::Case;
use crate::conv2d::{geometries, window};
use crate::fused::{self, Epilogue, HasEpilogue};
use crate::kernels::lib::{self, convolution::Params};
use crate::kernels::{
    conv2d_input_gradient, conv2d_input_gradient_cooperative, conv2d_input_gradient_subgroup,
    conv2d_strided_input_gradient, conv2d_strided_input_gradient_cooperative, conv2d_strided_input_gradient_subgroup,
};
use crate::pad::{in_fours, quads_fit, transposed_in_fours};
use crate::round_f16::rounded;
use crate::tiles::{SUBGROUP_QUADS, Tile, subgroup_overrides, subgroup_tiles, tiles};
use crate::transpose;
use crate::window::{ImagePadding, SlidingWindow};
use crate::winograd::Winograd;

/// The gradient of [`Conv2d`](crate::Conv2d) with respect to the image:
/// `(dy [N, OH, OW, K], kernel [R, S, C, K]) -> [N, H, W, C]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dInputGradient {
    /// The convolution's step.
    pub strides: [usize; 2],
    /// The convolution's padding.
    pub padding: ImagePadding,
    /// The image's height and width, in pixels.
    pub image: [usize; 2],
}

/// The pixels of an image with the same offset modulo the strides. They have the same taps, so one call computes them
/// together; taps that contribute nothing are skipped.
struct Phase {
    /// The first of them, from the top and from the left.
    at: [usize; 2],
    /// The number of these pixels.
    pixels: usize,
}

impl Phase {
    fn all(window: &SlidingWindow) -> Vec<Phase> {
        let ([height, width], [stride_y, stride_x]) = (window.image, window.strides);
        let columns = |y: usize| {
            let rows = (height - y).div_ceil(stride_y);
            (0..stride_x.min(width)).map(move |x| Phase { at: [y, x], pixels: rows * (width - x).div_ceil(stride_x) })
        };
        (0..stride_y.min(height)).flat_map(columns).collect()
    }
}

/// The tensors shared by the calls of all phases.
struct Product {
    channels: usize,
    source: Tensor,
    /// The kernel as `[R, S, K, C]`.
    weights: Tensor,
    /// Any tensor if there is none.
    bias: Tensor,
    gates: Tensor,
    result: Tensor,
    convolution: lib::convolution::Overrides,
    epilogue: lib::epilogue::Overrides,
    subgroup: lib::subgroup::Overrides,
    window: lib::window::Overrides,
}

/// The kernels without and with strides have the same form but different addressing: the tiles of one, and its call for
/// a phase.
macro_rules! product {
    ($tiles:ident, $call:ident, $kernels:ident, $cooperative:ident, $subgroup:ident) => {
        const $tiles: [(Tile, &Kernel); 5] = [
            (Tile::Cooperative, $cooperative::SharedTiles::KERNEL),
            (Tile::Shared, $kernels::SharedTiles::KERNEL),
            (Tile::Quads, $kernels::Quads::KERNEL),
            (Tile::Subgroup, $subgroup::Forward::KERNEL),
            (Tile::Columns, $kernels::Forward::KERNEL),
        ];

        fn $call(product: &Product, tile: Tile, pixels: usize, [phase_y, phase_x]: [u32; 2]) -> Call {
            let &Product { source, weights, bias, gates, result, channels, .. } = product;
            let &Product { convolution, epilogue, subgroup, window, .. } = product;
            let params = Params { pixels: pixels as u32, channels: convolution.depth, phase_y, phase_x };
            let weights4 = weights;
            if tile == Tile::Subgroup {
                let overrides = $subgroup::Overrides { convolution, epilogue, quads: SUBGROUP_QUADS, subgroup, window };
                let tensors = $subgroup::Forward { source, weights4, bias, gates, result };
                return tensors.call(params, overrides, subgroup_tiles(pixels, channels));
            }
            let spread = tile.spread(pixels, channels);
            let quads = spread.overrides();
            let overrides = $kernels::Overrides { convolution, epilogue, quads, window };
            match tile {
                Tile::Cooperative => $cooperative::SharedTiles { source, weights4, bias, gates, result }.call(
                    params,
                    $cooperative::Overrides { convolution, epilogue, quads, window },
                    spread.workgroups,
                ),
                Tile::Columns => $kernels::Forward { source, weights, bias, gates, result }.call(
                    params,
                    overrides,
                    tiles(pixels, channels),
                ),
                Tile::Shared => $kernels::SharedTiles { source, weights4, bias, gates, result }.call(
                    params,
                    overrides,
                    spread.workgroups,
                ),
                _ => {
                    $kernels::Quads { source, weights4, bias, gates, result }.call(params, overrides, spread.workgroups)
                }
            }
        }
    };
}
product!(TILES, call, conv2d_input_gradient, conv2d_input_gradient_cooperative, conv2d_input_gradient_subgroup);
product!(
    STRIDED_TILES,
    strided_call,
    conv2d_strided_input_gradient,
    conv2d_strided_input_gradient_cooperative,
    conv2d_strided_input_gradient_subgroup
);

impl Conv2dInputGradient {
    /// The window, and the shape of the image's gradient.
    ///
    /// # Errors
    /// If the inputs do not match.
    fn geometry(&self, inputs: &[TensorType]) -> Result<(SlidingWindow, [usize; 4])> {
        match inputs {
            [dy, kernel] if dy.dtype == DType::F32 && kernel.dtype == DType::F32 => self.fit(dy, kernel),
            _ => None,
        }
        .ok_or_else(|| {
            let expected = format!("f32 (dy [N, OH, OW, K], kernel [R, S, C, K]) of an image of {:?}", self.image);
            Error::inputs("conv2d_input_gradient", expected, inputs)
        })
    }

    pub(crate) fn fit(&self, dy: &TensorType, kernel: &TensorType) -> Option<(SlidingWindow, [usize; 4])> {
        let ([images, out_height, out_width, filters], kernel) = (dy.shape.dims()?, kernel.shape.dims()?);
        let x = [images, self.image[0], self.image[1], kernel[2]];
        let window = window(&x, &kernel, self.strides, self.padding)?;
        (window.out == [out_height, out_width] && filters == kernel[3]).then_some((window, x))
    }
}

impl Op for Conv2dInputGradient {
    fn name(&self) -> &'static str {
        "conv2d_input_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.geometry(inputs).map(|(_, x)| vec![TensorType::f32(x)])
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

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Some((window, x)) = self.fit(&inputs[0].ty, &inputs[1].ty) else { return Vec::new() };
        let (channels, filters) = (x[3], inputs[0].shape()[3]);
        let (pixels, out_pixels) = window.pixels();
        let mut dx = Array::zeros(x);
        for n in 0..x[0] {
            window.each(|out, pixel, tap| {
                for k in 0..filters {
                    let g = inputs[0].data[(n * out_pixels + out) * filters + k];
                    for c in 0..channels {
                        let w = inputs[1].data[(tap * channels + c) * filters + k];
                        dx.data[(n * pixels + pixel) * channels + c] += g * w;
                    }
                }
            });
        }
        vec![dx]
    }
}

impl HasEpilogue for Conv2dInputGradient {
    fn arity(&self) -> usize {
        2
    }

    fn lower_with(&self, lowering: &mut Lowering, epilogue: Epilogue) -> Result<()> {
        let (dy, kernel, result) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let (window, _) = self.geometry(&lowering.input_types()[..self.arity()])?;
        push(lowering, window, [dy, kernel, result], None, epilogue)
    }
}

/// Pushes the calls that compute the gradient of the image, plus a bias if any.
///
/// # Errors
/// If the kernel does not have four axes.
pub(crate) fn push(
    lowering: &mut Lowering,
    window: SlidingWindow,
    [dy, kernel, result]: [Tensor; 3],
    bias: Option<Tensor>,
    epilogue: Epilogue,
) -> Result<()> {
    let [r, s, channels, filters] = lowering.dims(kernel)?;
    let images = lowering.shape(dy)[0];
    if let Some(winograd) = Winograd::of_input_gradient(lowering.limits(), &window, images, [filters, channels]) {
        let [dy, kernel] = rounded(lowering, [dy, kernel]);
        let transposed = lowering.scratch(TensorType::f32([r, s, filters, channels]));
        lowering.push(transpose::call(kernel, transposed, [r * s, channels, filters]));
        winograd.push(lowering, [dy, transposed, result], bias, true, epilogue);
        return Ok(());
    }
    let out_pixels = images * window.pixels().1;
    let [deep, wide] = [filters, channels].map(|n| n.next_multiple_of(4));
    let fit = quads_fit(lowering, filters, [out_pixels * deep, r * s * filters * wide]);
    let strided = window.strides != [1, 1];
    let tile = Tile::choose(lowering, fit, if strided { &STRIDED_TILES } else { &TILES });
    let [dy, kernel] = tile.factors(lowering, [dy, kernel]);
    let (source, weights, depth) = if tile == Tile::Columns {
        let transposed = lowering.scratch(TensorType::f32([r, s, filters, channels]));
        lowering.push(transpose::call(kernel, transposed, [r * s, channels, filters]));
        (dy, transposed, filters)
    } else {
        let source = in_fours(lowering, dy, [out_pixels, 1, filters]);
        (source, transposed_in_fours(lowering, kernel, [r * s, filters, channels]), deep)
    };
    let [depth, inner, columns] = [depth, filters, channels].map(|n| n as u32);
    let product = Product {
        channels,
        source,
        weights,
        bias: bias.unwrap_or(kernel),
        gates: epilogue.gates(kernel),
        result,
        convolution: lib::convolution::Overrides { depth, columns, has_bias: bias.is_some(), inner },
        epilogue: epilogue.overrides(),
        subgroup: subgroup_overrides(lowering.limits()),
        window: window.overrides(),
    };
    let phases = Phase::all(&window);
    let flops = 2 * out_pixels * r * s * channels * filters / phases.len();
    for Phase { at, pixels } in phases {
        let call = if strided { strided_call } else { call };
        lowering.push(call(&product, tile, images * pixels, at.map(|n| n as u32)).flops(flops));
    }
    Ok(())
}

pub(crate) fn cases() -> Vec<Case> {
    geometries()
        .map(|(name, x, kernel, strides, padding, window)| {
            let dy = Array::random([x[0], window.out[0], window.out[1], kernel[3]], 1);
            let op = Conv2dInputGradient { strides, padding, image: [x[1], x[2]] };
            Case::new(format!("conv2d_input_gradient {name}"), op, vec![dy, Array::random(kernel, 2)])
        })
        .collect()
}
