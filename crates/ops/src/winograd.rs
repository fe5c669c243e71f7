//! Winograd's minimal filtering (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015): convolutions of
//! 3 x 3 and 5 x 5 taps with a stride of 1 in 36 products per tile of 4 x 4 or 2 x 2 pixels, instead of 144 or 100.
//!
//! Its sums differ from direct ones in rounding ([`Algorithms`]).

use kiln_graph::{Algorithms, DType, Limits, Lowering, Tensor, TensorType, Window};

use crate::fused::Epilogue;
use crate::kernels::{winograd, winograd_filter, winograd_weight_gradient};
use crate::sum::{sum_chunks, sum_rows};
use crate::tiles::spread;
use crate::window::SlidingWindow;

/// The height and width of a tile's window: its points along an axis.
const TILE: usize = winograd_filter::TILE as usize;
const POINTS: usize = winograd_filter::POINTS as usize;
const LANES: usize = winograd_filter::LANES as usize;
const PANEL: usize = winograd_filter::PANEL as usize;
const ROWS: usize = winograd_filter::ROWS as usize;

/// The smallest number of channels and of filters for which the products outweigh the transforms.
const FEWEST_CHANNELS: usize = 16;
/// The smallest number of tiles of an image for which these outweigh the transform of the filters, at a batch of one.
const FEWEST_TILES: usize = 9;
/// The largest share of a direct convolution's products.
const LARGEST_SHARE: f64 = 0.7;

/// A convolution by minimal filtering.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Winograd {
    window: SlidingWindow,
    images: usize,
    /// The channels of the source, and of the result.
    depth: usize,
    columns: usize,
    /// The height and width of the filter, and of a tile of the result.
    taps: usize,
    outputs: usize,
}

impl Winograd {
    /// The convolution with this window, if the device supports it and it is faster.
    pub(crate) fn of(
        limits: &Limits,
        window: &SlidingWindow,
        images: usize,
        [depth, columns]: [usize; 2],
    ) -> Option<Winograd> {
        let fast = limits.algorithms == Algorithms::Fast && !limits.gpu_kernels;
        let [taps, width] = window.size;
        let fits = taps == width && matches!(taps, 3 | 5) && window.strides == [1, 1];
        if !fast || !fits || depth.min(columns) < FEWEST_CHANNELS {
            return None;
        }
        let winograd = Winograd { window: *window, images, depth, columns, taps, outputs: TILE + 1 - taps };
        let [direct, products] = [window.out[0] * window.out[1] * taps * taps, winograd.tiles_of_image() * POINTS];
        let pays = winograd.tiles_of_image() >= FEWEST_TILES && products as f64 <= LARGEST_SHARE * direct as f64;
        (pays && fits_binding(limits, winograd.transformed().iter().product())).then_some(winograd)
    }

    /// As [`Winograd::of`] for the gradient of the image: the convolution of `dy` with the filters rotated by 180 degrees.
    pub(crate) fn of_input_gradient(
        limits: &Limits,
        window: &SlidingWindow,
        images: usize,
        [filters, channels]: [usize; 2],
    ) -> Option<Winograd> {
        let before = [0, 1].map(|axis| (window.size[axis] - 1).checked_sub(window.before[axis]));
        let [Some(top), Some(left)] = before else { return None };
        let reversed = SlidingWindow { image: window.out, out: window.image, before: [top, left], ..*window };
        Winograd::of(limits, &reversed, images, [filters, channels])
    }

    /// As [`Winograd::of`] for the gradient of the weights, if its tensors can be bound, whole or in windows.
    pub(crate) fn of_weight_gradient(
        limits: &Limits,
        window: &SlidingWindow,
        images: usize,
        [depth, columns]: [usize; 2],
    ) -> Option<Winograd> {
        let winograd = Winograd::of(limits, window, images, [depth, columns])?;
        let Chunks { per_chunk, chunks, groups } = winograd.chunks();
        let (in_pixels, out_pixels) = window.pixels();
        let [x, dy, gradient] = [in_pixels * depth, out_pixels * columns, winograd.weights()];
        let fit = |tensors: [usize; 3]| tensors.into_iter().all(|elements| fits_binding(limits, elements));
        let whole = fit([images * x, images * dy, chunks * gradient]);
        // A window is a whole number of groups: it starts at an aligned offset if each of them does.
        let is_aligned = x % 4 == 0 && dy % 4 == 0 && gradient % 16 == 0;
        let of_group = (GROUP * per_chunk).min(images);
        let in_windows = is_aligned && fit([of_group * x, of_group * dy, GROUP * gradient]);
        (fits_binding(limits, groups * gradient) && (whole || in_windows)).then_some(winograd)
    }

    /// The channels and the filters that a workgroup sums.
    fn sums(&self) -> [usize; 2] {
        let channels = self.depth.next_multiple_of(LANES).min(CHANNEL_CHUNK);
        [channels, self.columns.next_multiple_of(PANEL).min(COLUMN_CHUNK)]
    }

    /// The chunks of the images whose products are summed independently.
    fn chunks(&self) -> Chunks {
        let [channels, filters] = self.sums();
        let workgroups = self.depth.div_ceil(channels) * self.columns.div_ceil(filters);
        let per_chunk = self.images.div_ceil((BUSY / workgroups).max(1)).max(1);
        let chunks = self.images.div_ceil(per_chunk);
        Chunks { per_chunk, chunks, groups: chunks.div_ceil(GROUP) }
    }

    /// The shape of the transformed filters.
    fn transformed(&self) -> [usize; 4] {
        [POINTS, self.columns.div_ceil(PANEL), self.depth, PANEL]
    }

    /// The number of weights.
    fn weights(&self) -> usize {
        self.taps * self.taps * self.depth * self.columns
    }

    fn tiles_of_image(&self) -> usize {
        self.window.out.iter().map(|extent| extent.div_ceil(self.outputs)).product()
    }

    fn overrides(&self) -> crate::kernels::lib::winograd_window::Overrides {
        crate::kernels::lib::winograd_window::Overrides { depth: self.depth as u32, outputs: self.outputs as u32 }
    }

    /// Pushes the calls of the convolution: `source` by `weights` `[R, R, depth, columns]`, which may be `flipped`.
    pub(crate) fn push(
        &self,
        lowering: &mut Lowering,
        [source, weights, result]: [Tensor; 3],
        bias: Option<Tensor>,
        flipped: bool,
        epilogue: Epilogue,
    ) {
        let Winograd { depth, columns, taps, .. } = *self;
        let panels = columns.div_ceil(PANEL);
        let transformed = lowering.scratch(TensorType::f32(self.transformed()));
        let [depth32, columns32, taps32] = [depth, columns, taps].map(|n| n as u32);
        let overrides = winograd_filter::Overrides { depth: depth32, columns: columns32, taps: taps32, flipped };
        let workgroups = [panels as u32, depth32.div_ceil(winograd_filter::CHANNELS), 1];
        lowering.push(winograd_filter::Forward { weights, transformed }.call(overrides, workgroups));

        let tiles = self.images * self.tiles_of_image();
        let column_chunk = columns.next_multiple_of(PANEL).min(COLUMN_CHUNK);
        let channel_chunk = depth.next_multiple_of(LANES).min(CHANNEL_CHUNK);
        let across = columns.div_ceil(column_chunk);
        let block = block(tiles, across);
        let params = winograd::Params {
            tiles: tiles as u32,
            block: block as u32,
            channel_chunk: channel_chunk as u32,
            column_chunk: column_chunk as u32,
        };
        let overrides = winograd::Overrides {
            columns: columns32,
            has_bias: bias.is_some(),
            epilogue: epilogue.overrides(),
            window: self.window.overrides(),
            winograd_window: self.overrides(),
        };
        let gates = epilogue.gates(weights);
        let tensors = winograd::Forward { source, transformed, bias: bias.unwrap_or(weights), gates, result };
        let pixels = self.images * self.window.pixels().1;
        let call = tensors.call(params, overrides, spread(tiles, block as u32, columns, column_chunk as u32));
        lowering.push(call.flops(2 * pixels * taps * taps * depth * columns));
    }

    /// Pushes the calls of the gradient of the weights `[R, R, depth, columns]`.
    pub(crate) fn push_weight_gradient(&self, lowering: &mut Lowering, [x, dy, dkernel]: [Tensor; 3]) {
        let Winograd { depth, columns, taps, images, .. } = *self;
        let [channel_chunk, filter_chunk] = self.sums();
        let [across, down] = [columns.div_ceil(filter_chunk), depth.div_ceil(channel_chunk)];
        let Chunks { per_chunk, chunks, groups } = self.chunks();
        let rows = taps * taps * depth;
        let partial = match chunks {
            1 => dkernel,
            _ => lowering.scratch(TensorType::f32([chunks, rows, columns])),
        };
        let sums = match groups {
            1 => dkernel,
            _ => lowering.scratch(TensorType::f32([groups, rows, columns])),
        };
        let overrides = winograd_weight_gradient::Overrides {
            filters: columns as u32,
            window: self.window.overrides(),
            winograd_window: self.overrides(),
        };
        let [image, result] = [x, dy].map(|tensor| GROUP * per_chunk * lowering.shape(tensor).sample().elements());
        let cut = [(x, image), (dy, result), (partial, GROUP * rows * columns), (sums, rows * columns)];
        for Window { units, parts: [source, dy, partial, sums] } in lowering.windows(groups, cut) {
            let chunks = chunks.min(units.end * GROUP) - units.start * GROUP;
            let images = images.min(units.end * GROUP * per_chunk) - units.start * GROUP * per_chunk;
            let params = winograd_weight_gradient::Params {
                tiles: (images * self.tiles_of_image()) as u32,
                chunk: (per_chunk * self.tiles_of_image()) as u32,
                block: block_of_sum(channel_chunk, filter_chunk) as u32,
                channel_chunk: channel_chunk as u32,
                filter_chunk: filter_chunk as u32,
            };
            let tensors = winograd_weight_gradient::Forward { source, dy, partial };
            let call = tensors.call(params, overrides, [across as u32, down as u32, chunks as u32]);
            lowering.push(call.flops(2 * images * self.window.pixels().1 * rows * columns));
            if partial != dkernel {
                sum_chunks(lowering, partial, sums, [chunks, rows * columns], GROUP, 1.0);
            }
        }
        if groups > 1 {
            sum_rows(lowering, sums, dkernel, [groups, rows * columns], 1.0);
        }
    }
}

/// The channels and the columns of a workgroup.
const CHANNEL_CHUNK: usize = 64;
const COLUMN_CHUNK: usize = 64;
/// The most tiles of a block.
const MOST_TILES: usize = 4 * ROWS;
/// The words of a workgroup's memory.
const MEMORY: usize = winograd::MEMORY as usize;
/// The number of chunks whose sums are added first; a window of a large batch is a whole number of these groups.
const GROUP: usize = 4;
/// The number of workgroups that keeps all threads of a processor busy.
const BUSY: usize = 32;

// The kernels run without run-time checks.
const _: () = {
    assert!(
        CHANNEL_CHUNK.is_multiple_of(LANES) && COLUMN_CHUNK.is_multiple_of(PANEL) && MOST_TILES.is_multiple_of(ROWS)
    );
    assert!(POINTS * (MOST_TILES * (CHANNEL_CHUNK + COLUMN_CHUNK) + 2 * LANES) <= MEMORY);
    assert!(block_of_sum(CHANNEL_CHUNK, COLUMN_CHUNK) >= ROWS);
};

/// Chunks of images, summed in groups.
struct Chunks {
    /// The images of a chunk.
    per_chunk: usize,
    chunks: usize,
    groups: usize,
}

fn fits_binding(limits: &Limits, elements: usize) -> bool {
    elements as u64 * DType::F32.bytes() <= limits.window_bytes()
}

/// The number of tiles of a workgroup: as many as stay in the cache, or fewer if there are few.
fn block(tiles: usize, across: usize) -> usize {
    let wanted = tiles.div_ceil(BUSY.div_ceil(across));
    wanted.next_multiple_of(ROWS).min(MOST_TILES)
}

/// As [`block`] for sums over tiles: as many as fit beside the sums.
const fn block_of_sum(channels: usize, filters: usize) -> usize {
    let sums = channels.next_multiple_of(ROWS) * filters + LANES;
    let most = (MEMORY / POINTS - sums - 2 * LANES) / (channels + filters);
    if most < MOST_TILES { most } else { MOST_TILES }
}
