//! How kernels that are tiled along rows and columns are spread over workgroups.

use crate::kernels::{conv2d, global_max_pool2d, matmul, max_pool2d, moments};

/// Workgroups along columns, then along rows; these fold from y into z beyond the 65,535 that WebGPU dispatches.
pub(crate) fn spread(rows: usize, rows_each: u32, columns: usize, columns_each: u32) -> [u32; 3] {
    let along_rows = rows.div_ceil(rows_each as usize).max(1);
    let z = along_rows.div_ceil(65_535);
    [columns.div_ceil(columns_each as usize).max(1) as u32, along_rows.div_ceil(z) as u32, z as u32]
}

/// The tiles of a product, as in `shaders/lib/columns.wgsl`.
pub(crate) fn tiles(rows: usize, columns: usize) -> [u32; 3] {
    spread(rows, matmul::TILE_ROWS, columns, matmul::TILE_COLUMNS)
}

/// The tiles of a product, as in `shaders/lib/quads.wgsl`.
pub(crate) fn quad_tiles(rows: usize, columns: usize) -> [u32; 3] {
    spread(rows, conv2d::QUAD_ROWS, columns, conv2d::QUAD_COLUMNS)
}

/// Pixels by channels, as in `shaders/lib/channels.wgsl`.
pub(crate) fn channel_tiles(pixels: usize, channels: usize) -> [u32; 3] {
    spread(pixels, max_pool2d::PIXELS, channels, max_pool2d::LANES)
}

/// Images by channels, as in `shaders/lib/image_channels.wgsl`.
pub(crate) fn image_channel_tiles(images: usize, channels: usize) -> [u32; 3] {
    spread(images, global_max_pool2d::IMAGES, channels, global_max_pool2d::LANES)
}

/// Chunks of rows by columns, as in `shaders/moments.wgsl`: one invocation takes one column of a chunk.
pub(crate) fn channel_chunks(chunks: usize, columns: usize) -> [u32; 3] {
    spread(chunks, moments::PIXEL_GROUPS, columns, moments::LANES)
}
