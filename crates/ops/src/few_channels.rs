//! Convolutions of images of few channels, as of a network's first layer, on processors: kernels that copy rows of the image
//! with their padding to workgroup memory. Direct sums, in the order of all kernels.

use kiln_graph::{DType, Limits, Lowering, Tensor, TensorType, Window};

use crate::fused::Epilogue;
use crate::kernels::lib::padded_rows;
use crate::kernels::{conv2d_few_channels as forward, conv2d_weight_gradient_few_channels as weight_gradient};
use crate::sum::sum_rows;
use crate::tiles::spread;
use crate::window::SlidingWindow;

/// The largest number of channels that counts as few.
const MOST_CHANNELS: usize = 8;
/// The words of a workgroup's memory.
const MEMORY: usize = forward::MEMORY as usize;
const LANES: usize = forward::LANES as usize;
/// The pixels of a tile.
const TILE: usize = forward::INVOCATION_ROWS as usize;
/// The number of values of a block of the result, which stays in the cache while all taps read it.
const CACHED: usize = 8 << 10;
/// The most rows of a block, so that a batch has many.
const MOST_ROWS: usize = 8;
/// The number of chunks that keeps all threads of a processor busy.
const BUSY: usize = 128;
/// The minimum number of pixels of a chunk.
const SMALLEST_CHUNK: usize = 128;

/// A convolution of images of few channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FewChannels {
    window: SlidingWindow,
    images: usize,
    /// The channels of the image, and of the result.
    depth: usize,
    columns: usize,
    /// The rows of the result in a block.
    rows: usize,
}

impl FewChannels {
    /// The convolution with this window, if it is of few channels and the device is a processor.
    pub(crate) fn of(
        limits: &Limits,
        window: &SlidingWindow,
        images: usize,
        [depth, columns]: [usize; 2],
    ) -> Option<FewChannels> {
        let is_empty = images == 0 || depth == 0 || columns == 0;
        if limits.gpu_kernels || is_empty || depth > MOST_CHANNELS || window.size == [1, 1] {
            return None;
        }
        let tiled_width = window.out[1].next_multiple_of(TILE);
        let row_words = (((tiled_width - 1) * window.strides[1] + window.size[1]) * depth).next_multiple_of(LANES);
        let rows_in_memory = (MEMORY / row_words).checked_sub(window.size[0])? / window.strides[0] + 1;
        let cached = CACHED / (window.out[1] * columns);
        let rows = cached.clamp(1, MOST_ROWS).min(rows_in_memory);
        Some(FewChannels { window: *window, images, depth, columns, rows })
    }

    /// As [`FewChannels::of`] for the gradient of the weights, if its tensors can be bound, whole or in windows.
    pub(crate) fn of_weight_gradient(
        limits: &Limits,
        window: &SlidingWindow,
        images: usize,
        [depth, columns]: [usize; 2],
    ) -> Option<FewChannels> {
        let convolution = FewChannels::of(limits, window, images, [depth, columns])?;
        let Chunks { images_each, groups, parts, .. } = convolution.chunks();
        let [x, dy] = convolution.image_and_result();
        let fit = |elements: usize| elements as u64 * DType::F32.bytes() <= limits.window_bytes();
        let whole = fit(images * x) && fit(images * dy);
        let [x_each, dy_each] = [images_each * x, images_each * dy];
        let in_windows = x_each % 16 == 0 && dy_each % 16 == 0 && fit(x_each) && fit(dy_each);
        (fit(groups * parts * convolution.weights()) && (whole || in_windows)).then_some(convolution)
    }

    /// The values of an image, and of its result.
    fn image_and_result(&self) -> [usize; 2] {
        let (pixels, out_pixels) = self.window.pixels();
        [pixels * self.depth, out_pixels * self.columns]
    }

    /// The chunks of the pixels, whose sums are independent.
    fn chunks(&self) -> Chunks {
        let pixels = self.window.pixels().1;
        let images_each = self.images.div_ceil(BUSY).max(SMALLEST_CHUNK.div_ceil(pixels));
        let blocks = images_each * self.blocks_of_image();
        let parts = match images_each {
            1 => BUSY.div_ceil(self.images).min(pixels.div_ceil(SMALLEST_CHUNK)).min(blocks),
            _ => 1,
        };
        let blocks_each = blocks.div_ceil(parts);
        let groups = self.images.div_ceil(images_each);
        Chunks { images_each, groups, parts: blocks.div_ceil(blocks_each), blocks_each }
    }

    /// The number of weights.
    fn weights(&self) -> usize {
        self.window.size[0] * self.window.size[1] * self.depth * self.columns
    }

    fn blocks_of_image(&self) -> usize {
        self.window.out[0].div_ceil(self.rows)
    }

    fn flops(&self, images: usize) -> usize {
        2 * images * self.window.pixels().1 * self.weights()
    }

    fn overrides(&self) -> padded_rows::Overrides {
        padded_rows::Overrides { depth: self.depth as u32 }
    }

    /// Pushes the call of the convolution.
    pub(crate) fn push(
        &self,
        lowering: &mut Lowering,
        [source, weights, result]: [Tensor; 3],
        bias: Option<Tensor>,
        epilogue: Epilogue,
    ) {
        let overrides = forward::Overrides {
            columns: self.columns as u32,
            has_bias: bias.is_some(),
            epilogue: epilogue.overrides(),
            padded_rows: self.overrides(),
            window: self.window.overrides(),
        };
        let blocks = self.images * self.blocks_of_image();
        let params = forward::Params { blocks: blocks as u32, rows: self.rows as u32 };
        let gates = epilogue.gates(weights);
        let tensors = forward::Forward { source, weights, bias: bias.unwrap_or(weights), gates, result };
        lowering.push(tensors.call(params, overrides, spread(blocks, 1, 1, 1)).flops(self.flops(self.images)));
    }

    /// Pushes the calls of the gradient of the weights.
    pub(crate) fn push_weight_gradient(&self, lowering: &mut Lowering, [source, dy, dkernel]: [Tensor; 3]) {
        let Chunks { images_each, groups, parts, blocks_each } = self.chunks();
        let chunks = groups * parts;
        let partial = match chunks {
            1 => dkernel,
            _ => lowering.scratch(TensorType::f32([chunks, self.weights()])),
        };
        let overrides = weight_gradient::Overrides {
            filters: self.columns as u32,
            padded_rows: self.overrides(),
            window: self.window.overrides(),
        };
        let across = (self.columns as u32).div_ceil(weight_gradient::TILE_COLUMNS);
        let cut = self.image_and_result().map(|elements| images_each * elements);
        for Window { units, parts: [source, dy] } in lowering.windows(groups, [(source, cut[0]), (dy, cut[1])]) {
            let images = self.images.min(units.end * images_each) - units.start * images_each;
            let params = weight_gradient::Params {
                blocks: (images * self.blocks_of_image()) as u32,
                rows: self.rows as u32,
                chunk: blocks_each as u32,
                parts: parts as u32,
                group: (images_each * self.blocks_of_image()) as u32,
                first_chunk: (units.start * parts) as u32,
            };
            let tensors = weight_gradient::Forward { source, dy, partial };
            let call = tensors.call(params, overrides, [across, (units.len() * parts) as u32, 1]);
            lowering.push(call.flops(self.flops(images)));
        }
        if chunks > 1 {
            sum_rows(lowering, partial, dkernel, [chunks, self.weights()], 1.0);
        }
    }
}

/// Chunks of the pixels: groups of images or, where these are few, parts of an image.
struct Chunks {
    /// The images of a group.
    images_each: usize,
    groups: usize,
    /// The chunks of a group.
    parts: usize,
    /// The blocks of a chunk.
    blocks_each: usize,
}
