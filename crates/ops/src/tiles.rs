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

/// How a product is spread over workgroups as in `shaders/lib/quads.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuadTiles {
    /// Quads of a workgroup along columns, the kernels' override.
    pub(crate) lanes: u32,
    /// Workgroups along columns, then along rows.
    pub(crate) workgroups: [u32; 3],
}

/// All quads of a row in a workgroup if they are few; else 16, or 8 where that leaves fewer without a column.
pub(crate) fn quad_tiles(rows: usize, columns: usize) -> QuadTiles {
    let quads = columns.div_ceil(4).max(1) as u32;
    let lanes = match quads {
        0..=16 => quads,
        _ if quads.next_multiple_of(16) == quads.next_multiple_of(8) => 16,
        _ => 8,
    };
    let rows_each = conv2d::INVOCATIONS / lanes * conv2d::ROWS;
    QuadTiles { lanes, workgroups: spread(rows, rows_each, quads as usize, lanes) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quads_cover_every_row_and_column_and_leave_few_lanes_idle() {
        for columns in [1, 10, 20, 50, 64, 65, 68, 500, 512, 513] {
            for rows in [1, 63, 64, 65, 25_088] {
                let QuadTiles { lanes, workgroups: [x, y, z] } = quad_tiles(rows, columns);
                let rows_each = 64 / lanes * 8;
                assert!(lanes <= 16 && x * lanes * 4 >= columns as u32, "{rows} x {columns}");
                assert!(y * z * rows_each >= rows as u32, "{rows} x {columns}");
                assert!(x * lanes < columns.div_ceil(4) as u32 + 8, "{columns}");
            }
        }
        assert_eq!(quad_tiles(64, 50).lanes, 13);
        assert_eq!(quad_tiles(64, 512), QuadTiles { lanes: 16, workgroups: [8, 2, 1] });
        assert_eq!(quad_tiles(64, 500).lanes, 16);
        assert_eq!(quad_tiles(64, 544).lanes, 8);
    }
}
