//! `dkernel[r, s, c, k] = sum over n, oy, ox of x[n, oy*stride_y + r - top, ox*stride_x + s - left, c] dy[n, oy, ox, k]`.

use kiln_graph::{Array, DType, Error, Kernel, Limits, Lowering, Op, Result, Step, TensorType};

use crate::case::Case;
use crate::conv2d::{geometries, window};
use crate::few_channels::FewChannels;
use crate::kernels::lib::{weight_gradient, weight_gradient_quads};
use crate::kernels::{
    conv2d_weight_gradient as kernel, conv2d_weight_gradient_cooperative as cooperative,
    conv2d_weight_gradient_quads as quads, conv2d_weight_gradient_subgroup as subgroup,
};
use crate::pad::{in_fours, quads_fit};
use crate::round_f16::rounded;
use crate::sum::sum_rows;
use crate::tiles::{SUBGROUP_QUADS, Tile, shared_tiles, subgroup_overrides, subgroup_tiles, subgroups_of_8, tiles};
use crate::unfold::ImageInQuads;
use crate::window::{ImagePadding, Padding, SlidingWindow};
use crate::winograd::Winograd;

/// The number of workgroups that occupies a processor's threads, from which the number of independently summed chunks
/// of pixels is derived.
const BUSY: usize = 256;
/// The number of workgroups of 64 invocations that occupies a GPU: several for each of the more than 100
/// multiprocessors of large GPUs.
const BUSY_GPU: usize = 1024;
/// The minimum number of pixels of a chunk.
const SMALLEST_CHUNK: usize = 128;
/// The number of values that fits in the level 2 cache of any current processor.
const CACHED: usize = 64 << 10;

/// The gradient of [`Conv2d`](crate::Conv2d) with respect to the kernel:
/// `(x [N, H, W, C], dy [N, OH, OW, K]) -> [R, S, C, K]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dWeightGradient {
    /// The convolution's step.
    pub strides: [usize; 2],
    /// The convolution's padding.
    pub padding: ImagePadding,
    /// The kernel's height and width, in pixels.
    pub size: [usize; 2],
}

/// The tiles of its kernels.
const TILES: [(Tile, &Kernel); 5] = [
    (Tile::Cooperative, cooperative::SharedTiles::KERNEL),
    (Tile::Shared, quads::SharedTiles::KERNEL),
    (Tile::Quads, quads::Forward::KERNEL),
    (Tile::Subgroup, subgroup::Forward::KERNEL),
    (Tile::Columns, kernel::Forward::KERNEL),
];
/// The tiles of a gradient with few rows, as of a first layer, for which a subgroup's tile would be half empty.
const TILES_OF_FEW_ROWS: [(Tile, &Kernel); 4] = [TILES[0], TILES[1], TILES[2], TILES[4]];
/// The largest number of rows, padded to a multiple of 4, that counts as few.
const FEW_ROWS: usize = 32;

/// The chunk of pixels for a gradient of `[rows, channels, filters]`.
fn chunk(limits: &Limits, pixels: usize, [rows, channels, filters]: [usize; 3]) -> usize {
    let workgroups = |[across, down, z]: [u32; 3]| across as usize * down as usize * z as usize;
    let wanted = if limits.gpu_kernels && !subgroups_of_8(limits) {
        BUSY_GPU.div_ceil(workgroups(shared_tiles(rows, filters).workgroups))
    } else {
        // On a processor, chunks that stay in its cache while all tiles read them, if their sums are not larger.
        let in_cache = match limits.gpu_kernels {
            true => 1,
            false => pixels * (channels + filters) / CACHED.max(rows * filters),
        };
        BUSY.div_ceil(workgroups(tiles(rows, filters))).max(in_cache)
    };
    pixels.div_ceil(wanted.min(pixels.div_ceil(SMALLEST_CHUNK)).max(1))
}

fn weight_gradient(channels: usize, filters: usize) -> weight_gradient::Overrides {
    weight_gradient::Overrides { channels: channels as u32, filters: filters as u32 }
}

impl Conv2dWeightGradient {
    /// The window, and the shape of the kernel's gradient.
    ///
    /// # Errors
    /// If the inputs do not match.
    fn geometry(&self, inputs: &[TensorType]) -> Result<(SlidingWindow, [usize; 4])> {
        match inputs {
            [x, dy] if x.dtype == DType::F32 && dy.dtype == DType::F32 => self.fit(x, dy),
            _ => None,
        }
        .ok_or_else(|| {
            let expected = format!("f32 (x [N, H, W, C], dy [N, OH, OW, K]) for a kernel of {:?}", self.size);
            Error::inputs("conv2d_weight_gradient", expected, inputs)
        })
    }

    fn fit(&self, x: &TensorType, dy: &TensorType) -> Option<(SlidingWindow, [usize; 4])> {
        let (x, [images, out_height, out_width, filters]): ([usize; 4], [usize; 4]) =
            (x.shape.dims()?, dy.shape.dims()?);
        let kernel = [self.size[0], self.size[1], x[3], filters];
        let window = window(&x, &kernel, self.strides, self.padding)?;
        (window.out == [out_height, out_width] && images == x[0]).then_some((window, kernel))
    }
}

impl Op for Conv2dWeightGradient {
    fn name(&self) -> &'static str {
        "conv2d_weight_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.geometry(inputs).map(|(_, kernel)| vec![TensorType::f32(kernel)])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, dy, dkernel) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let (window, [r, s, channels, filters]) = self.geometry(&lowering.input_types())?;
        let rows = r * s * channels;
        let (images, area) = (lowering.shape(dy)[0], window.pixels().1);
        if let Some(winograd) = Winograd::of_weight_gradient(lowering.limits(), &window, images, [channels, filters]) {
            let [x, dy] = rounded(lowering, [x, dy]);
            winograd.push_weight_gradient(lowering, [x, dy, dkernel]);
            return Ok(());
        }
        if let Some(convolution) =
            FewChannels::of_weight_gradient(lowering.limits(), &window, images, [channels, filters])
        {
            let [x, dy] = rounded(lowering, [x, dy]);
            convolution.push_weight_gradient(lowering, [x, dy, dkernel]);
            return Ok(());
        }
        let pixels = images * area;
        let flops = 2 * pixels * rows * filters;
        let [across, down, _] = tiles(rows, filters);
        let chunk = chunk(lowering.limits(), pixels, [rows, channels, filters]);
        let chunks = pixels.div_ceil(chunk);
        let partial = match chunks {
            1 => dkernel,
            _ => lowering.scratch(TensorType::f32([chunks, rows, filters])),
        };
        let source = ImageInQuads::new(window, images, channels);
        let fit = quads_fit(lowering, source.inner, [source.elements, pixels * filters.next_multiple_of(4)]);
        let [height, width] = source.window.size;
        let deep = source.inner.next_multiple_of(4);
        let rows_in_fours = height * width * deep;
        let fitting: &[_] = if rows_in_fours <= FEW_ROWS { &TILES_OF_FEW_ROWS } else { &TILES };
        let tile = Tile::choose(lowering, fit, fitting);
        let [x, dy] = tile.factors(lowering, [x, dy]);
        if tile != Tile::Columns {
            let spread = tile.spread(rows_in_fours, filters);
            let weight_gradient = weight_gradient(deep, filters);
            let weight_gradient_quads = weight_gradient_quads::Overrides { inner: source.inner as u32 };
            let window = source.window.overrides();
            let overrides =
                quads::Overrides { quads: spread.overrides(), weight_gradient, weight_gradient_quads, window };
            let x = source.of(lowering, x);
            let dy = in_fours(lowering, dy, [pixels, 1, filters]);
            let params = weight_gradient::Params { chunk: chunk as u32, begin: 0, end: pixels as u32, first_chunk: 0 };
            let [across, down, _] = spread.workgroups;
            let workgroups = [across, down, chunks as u32];
            let call = match tile {
                Tile::Subgroup => {
                    let (quads, subgroup) = (SUBGROUP_QUADS, subgroup_overrides(lowering.limits()));
                    let overrides =
                        subgroup::Overrides { quads, subgroup, weight_gradient, weight_gradient_quads, window };
                    let [across, down, _] = subgroup_tiles(rows_in_fours, filters);
                    subgroup::Forward { x, dy, partial }.call(params, overrides, [across, down, chunks as u32])
                }
                Tile::Cooperative => {
                    let quads = spread.overrides();
                    let overrides = cooperative::Overrides { quads, weight_gradient, weight_gradient_quads, window };
                    cooperative::SharedTiles { x, dy, partial }.call(params, overrides, workgroups)
                }
                Tile::Shared => quads::SharedTiles { x, dy, partial }.call(params, overrides, workgroups),
                _ => quads::Forward { x, dy, partial }.call(params, overrides, workgroups),
            };
            lowering.push(call.flops(flops));
        } else {
            let weight_gradient = weight_gradient(channels, filters);
            let overrides = kernel::Overrides { weight_gradient, window: window.overrides() };
            let [image, result] = [x, dy].map(|tensor| lowering.shape(tensor).sample().elements());
            for kiln_graph::Window { units, parts: [x, dy] } in lowering.windows(images, [(x, image), (dy, result)]) {
                let (begin, end) = (units.start * area, units.end * area);
                let (first_chunk, end_chunk) = (begin / chunk, end.div_ceil(chunk));
                let workgroups = [across, down, (end_chunk - first_chunk) as u32];
                let [chunk, begin, end, first_chunk] = [chunk, begin, end, first_chunk].map(|n| n as u32);
                let params = weight_gradient::Params { chunk, begin, end, first_chunk };
                let call = kernel::Forward { x, dy, partial }.call(params, overrides, workgroups);
                lowering.push(call.flops(2 * units.len() * area * rows * filters));
            }
        }
        if chunks > 1 {
            sum_rows(lowering, partial, dkernel, [chunks, rows * filters], 1.0);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Some((window, kernel)) = self.fit(&inputs[0].ty, &inputs[1].ty) else { return Vec::new() };
        let [_, _, channels, filters] = kernel;
        let (pixels, out_pixels) = window.pixels();
        let mut dkernel = Array::zeros(kernel);
        for n in 0..inputs[0].shape()[0] {
            window.each(|out, pixel, tap| {
                for c in 0..channels {
                    let v = inputs[0].data[(n * pixels + pixel) * channels + c];
                    for k in 0..filters {
                        let g = inputs[1].data[(n * out_pixels + out) * filters + k];
                        dkernel.data[(tap * channels + c) * filters + k] += v * g;
                    }
                }
            });
        }
        vec![dkernel]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let many_pixels = ([8, 17, 19, 3], [3, 3, 3, 8], [1, 1], Padding::Same.into());
    let more = window(&many_pixels.0, &many_pixels.1, many_pixels.2, many_pixels.3)
        .map(|window| ("in chunks".to_owned(), many_pixels.0, many_pixels.1, many_pixels.2, many_pixels.3, window));
    geometries()
        .chain(more)
        .map(|(name, x, kernel, strides, padding, window)| {
            let dy = Array::random([x[0], window.out[0], window.out[1], kernel[3]], 2);
            let op = Conv2dWeightGradient { strides, padding, size: [kernel[0], kernel[1]] };
            Case::new(format!("conv2d_weight_gradient {name}"), op, vec![Array::random(x, 1), dy])
        })
        .collect()
}
