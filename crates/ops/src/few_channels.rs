//! Convolutions of images of few channels, as of a network's first layer, on processors: kernels that copy rows of the image
//! with their padding to workgroup memory. Direct sums, in the order of all kernels.

use kiln_graph::{DType, Limits, Lowering, Tensor, TensorType};

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
/// The number of chunks of blocks that keeps all threads of a processor busy.
const BUSY: usize = 128;

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
        if limits.gpu_kernels || images == 0 || depth > MOST_CHANNELS || window.size == [1, 1] {
            return None;
        }
        let tiled_width = window.out[1].next_multiple_of(TILE);
        let row_words = (((tiled_width - 1) * window.strides[1] + window.size[1]) * depth).next_multiple_of(LANES);
        let rows_in_memory = (MEMORY / row_words).checked_sub(window.size[0])? / window.strides[0] + 1;
        let cached = CACHED / (window.out[1] * columns);
        let rows = cached.clamp(1, MOST_ROWS).min(rows_in_memory);
        Some(FewChannels { window: *window, images, depth, columns, rows })
    }

    /// As [`FewChannels::of`] for the gradient of the weights, if its tensors can be bound.
    pub(crate) fn of_weight_gradient(
        limits: &Limits,
        window: &SlidingWindow,
        images: usize,
        [depth, columns]: [usize; 2],
    ) -> Option<FewChannels> {
        let convolution = FewChannels::of(limits, window, images, [depth, columns])?;
        let (pixels, out_pixels) = window.pixels();
        let largest = (images * pixels * depth).max(images * out_pixels * columns).max(BUSY * convolution.weights());
        (largest as u64 * DType::F32.bytes() <= limits.window_bytes()).then_some(convolution)
    }

    /// The number of weights.
    fn weights(&self) -> usize {
        self.window.size[0] * self.window.size[1] * self.depth * self.columns
    }

    /// The blocks of all images.
    fn blocks(&self) -> usize {
        self.images * self.window.out[0].div_ceil(self.rows)
    }

    fn flops(&self) -> usize {
        2 * self.images * self.window.pixels().1 * self.weights()
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
        let params = forward::Params { blocks: self.blocks() as u32, rows: self.rows as u32 };
        let gates = epilogue.gates(weights);
        let tensors = forward::Forward { source, weights, bias: bias.unwrap_or(weights), gates, result };
        lowering.push(tensors.call(params, overrides, spread(self.blocks(), 1, 1, 1)).flops(self.flops()));
    }

    /// Pushes the calls of the gradient of the weights.
    pub(crate) fn push_weight_gradient(&self, lowering: &mut Lowering, [source, dy, dkernel]: [Tensor; 3]) {
        let blocks = self.blocks();
        let chunk = blocks.div_ceil(BUSY);
        let chunks = blocks.div_ceil(chunk);
        let partial = match chunks {
            1 => dkernel,
            _ => lowering.scratch(TensorType::f32([chunks, self.weights()])),
        };
        let overrides = weight_gradient::Overrides {
            filters: self.columns as u32,
            padded_rows: self.overrides(),
            window: self.window.overrides(),
        };
        let [blocks, rows, chunk] = [blocks, self.rows, chunk].map(|n| n as u32);
        let params = weight_gradient::Params { blocks, rows, chunk };
        let across = (self.columns as u32).div_ceil(weight_gradient::TILE_COLUMNS);
        let tensors = weight_gradient::Forward { source, dy, partial };
        lowering.push(tensors.call(params, overrides, [across, chunks as u32, 1]).flops(self.flops()));
        if chunks > 1 {
            sum_rows(lowering, partial, dkernel, [chunks, self.weights()], 1.0);
        }
    }
}
