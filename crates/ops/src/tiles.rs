//! How the products of `shaders/lib/columns.wgsl` are spread over workgroups.

use crate::kernels::matmul::{TILE_COLUMNS, TILE_ROWS};

/// Tiles along columns, then along rows; these fold from y into z beyond the 65,535 that WebGPU dispatches.
pub(crate) fn tiles(rows: usize, columns: usize) -> [u32; 3] {
    let along_rows = rows.div_ceil(TILE_ROWS as usize).max(1);
    let z = along_rows.div_ceil(65_535);
    [columns.div_ceil(TILE_COLUMNS as usize).max(1) as u32, along_rows.div_ceil(z) as u32, z as u32]
}
