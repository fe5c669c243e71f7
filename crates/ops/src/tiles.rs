//! Tilings of kernels along rows and columns.

use kiln_graph::{Form, Kernel, Limits, Lowering, Precision, Tensor, linear_workgroups};

use crate::kernels::{conv2d, conv2d_subgroup, global_max_pool2d, lib, matmul, max_pool2d, moments};
use crate::round_f16::rounded;

/// Workgroups along columns, then along rows, which wrap from y to z beyond WebGPU's limit of 65,535.
pub(crate) fn spread(rows: usize, rows_each: u32, columns: usize, columns_each: u32) -> [u32; 3] {
    let along_rows = rows.div_ceil(rows_each as usize).max(1);
    let z = along_rows.div_ceil(65_535);
    [columns.div_ceil(columns_each as usize).max(1) as u32, along_rows.div_ceil(z) as u32, z as u32]
}

/// The tiles of a product, as in `shaders/lib/columns.wgsl`.
pub(crate) fn tiles(rows: usize, columns: usize) -> [u32; 3] {
    spread(rows, matmul::TILE_ROWS, columns, matmul::TILE_COLUMNS)
}

/// The tiles of a product of the second matrix's packed columns, as in `shaders/matmul.wgsl`.
pub(crate) fn packed_tiles(rows: usize, columns: usize) -> [u32; 3] {
    spread(rows, matmul::PACKED_GROUPS * matmul::INVOCATION_ROWS, columns, matmul::TILE_COLUMNS)
}

/// The tile of a product per invocation or workgroup. All but [`Tile::Cooperative`] add in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tile {
    /// `shaders/lib/columns.wgsl`: the only tile that processors run, and that needs no padded rows.
    Columns,
    /// `shaders/lib/quads.wgsl`
    Quads,
    /// As [`Tile::Quads`] with one row per invocation.
    Single,
    /// As [`Tile::Shared`] or [`Tile::Single`], with blocks of the inner axis in parallel.
    Split,
    /// `shaders/lib/shared_fma.wgsl`
    Shared,
    /// `shaders/lib/shared_cooperative.wgsl`: rounds the factors to f16, and adds in an order of the device's.
    Cooperative,
    /// `shaders/lib/subgroup.wgsl`
    Subgroup,
}

impl Tile {
    /// Chooses the fastest of these tiles, by default the first, or [`Tile::Columns`] if quads do not fit. In mixed
    /// precision, [`Tile::Cooperative`] is chosen where the device has it; never by tuning, because it changes results. If
    /// subgroups have the size of their tile, that tile comes first and tiles in workgroup memory last, as is best for
    /// software drivers, on which loads are expensive and barriers even more so.
    pub(crate) fn choose(lowering: &mut Lowering, quads_fit: bool, tiles: &[(Tile, &'static Kernel)]) -> Tile {
        if !quads_fit {
            return Tile::Columns;
        }
        let smallest = lowering.limits().subgroup_sizes.map_or(0, |[smallest, _]| smallest);
        let is_cooperative = lowering.precision() == Precision::Mixed && lowering.limits().cooperative_matrices;
        if is_cooperative && tiles.iter().any(|(tile, _)| *tile == Tile::Cooperative) {
            return Tile::Cooperative;
        }
        let mut tiles = tiles.to_vec();
        tiles.retain(|(tile, _)| *tile != Tile::Cooperative);
        tiles.retain(|(tile, _)| *tile != Tile::Subgroup || smallest >= conv2d_subgroup::SHUFFLE_WIDTH);
        if subgroups_of_8(lowering.limits()) {
            tiles.sort_by_key(|(tile, _)| match tile {
                Tile::Subgroup => 0,
                Tile::Shared | Tile::Split => 2,
                _ => 1,
            });
        }
        let kernels: Vec<&'static Kernel> = tiles.iter().map(|(_, kernel)| *kernel).collect();
        tiles.get(lowering.choose(&kernels)).map_or(Tile::Columns, |(tile, _)| *tile)
    }

    /// The factors of a product in its node's precision: rounded, unless the tile rounds them itself.
    pub(crate) fn factors(self, lowering: &mut Lowering, factors: [Tensor; 2]) -> [Tensor; 2] {
        match self {
            Tile::Cooperative => factors,
            _ => rounded(lowering, factors),
        }
    }

    /// The workgroups of a product in quads: those of [`Tile::Shared`], or of [`Tile::Quads`] for all other tiles.
    pub(crate) fn spread(self, rows: usize, columns: usize) -> QuadTiles {
        match self {
            Tile::Shared | Tile::Cooperative => shared_tiles(rows, columns),
            Tile::Single => single_tiles(rows, columns),
            _ => quad_tiles(rows, columns),
        }
    }
}

/// Whether all subgroups have the 8 invocations that share loads in `shaders/lib/subgroup.wgsl`.
pub(crate) fn subgroups_of_8(limits: &Limits) -> bool {
    limits.subgroup_sizes == Some([conv2d_subgroup::SHUFFLE_WIDTH; 2])
}

/// The workgroups of a product as in `shaders/lib/subgroup.wgsl`.
pub(crate) fn subgroup_tiles(rows: usize, columns: usize) -> [u32; 3] {
    spread(rows, conv2d_subgroup::SUBGROUP_ROWS, columns, conv2d_subgroup::SUBGROUP_COLUMNS)
}

/// The workgroups of a product as in `shaders/lib/quads.wgsl` or `shaders/lib/shared.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuadTiles {
    /// The quads of a workgroup along columns, an override of the kernels.
    pub(crate) lanes: u32,
    /// Workgroups along columns, then along rows.
    pub(crate) workgroups: [u32; 3],
}

impl QuadTiles {
    /// The overrides of `shaders/lib/quads.wgsl`.
    pub(crate) fn overrides(self) -> lib::quads::Overrides {
        lib::quads::Overrides { lanes: self.lanes }
    }
}

/// The overrides of `shaders/lib/quads.wgsl` for subgroups that share rows, where `lanes` is unused.
pub(crate) const SUBGROUP_QUADS: lib::quads::Overrides = lib::quads::Overrides { lanes: 0 };

/// The overrides of `shaders/lib/subgroup.wgsl`.
pub(crate) fn subgroup_overrides(limits: &Limits) -> lib::subgroup::Overrides {
    lib::subgroup::Overrides { subgroups_of_8: subgroups_of_8(limits) }
}

/// All quads of a row in a workgroup if they are few; else 16, or 8 if that leaves fewer idle.
pub(crate) fn quad_tiles(rows: usize, columns: usize) -> QuadTiles {
    quad_tiles_of(rows, columns, conv2d::ROWS)
}

/// As [`quad_tiles`], with one row per invocation.
pub(crate) fn single_tiles(rows: usize, columns: usize) -> QuadTiles {
    quad_tiles_of(rows, columns, 1)
}

fn quad_tiles_of(rows: usize, columns: usize, rows_of_invocation: u32) -> QuadTiles {
    let quads = columns.div_ceil(4).max(1) as u32;
    let lanes = match quads {
        0..=16 => quads,
        _ if quads.next_multiple_of(16) == quads.next_multiple_of(8) => 16,
        _ => 8,
    };
    let rows_each = conv2d::INVOCATIONS / lanes * rows_of_invocation;
    QuadTiles { lanes, workgroups: spread(rows, rows_each, quads as usize, lanes) }
}

/// The workgroups of a product as in `shaders/lib/shared.wgsl`: tiles of 64 rows x 64 columns, or of 128 x 32 if they
/// leave fewer columns idle and there are enough rows.
pub(crate) fn shared_tiles(rows: usize, columns: usize) -> QuadTiles {
    const WIDE: usize = 64;
    const NARROW: usize = 32;
    let idle = columns.next_multiple_of(WIDE) - columns.next_multiple_of(NARROW);
    let lanes = if idle > 0 && columns <= 3 * NARROW && rows > WIDE { NARROW / 4 } else { WIDE / 4 } as u32;
    let rows_each = conv2d::TILE_VALUES / 4 / lanes;
    QuadTiles { lanes, workgroups: spread(rows, rows_each, columns, 4 * lanes) }
}

/// Invocations of a workgroup, as in `shaders/lib/channels_quads.wgsl`.
const QUAD_LANES: u32 = 64;

/// Pixels by channels, as in `shaders/lib/channels.wgsl`, or in quads as in `shaders/lib/channels_quads.wgsl`.
pub(crate) fn channel_tiles(form: Form, pixels: usize, channels: usize) -> [u32; 3] {
    match form {
        Form::Values => spread(pixels, max_pool2d::PIXELS, channels, max_pool2d::LANES),
        Form::Quads => {
            let groups = pixels.div_ceil(max_pool2d::INVOCATION_PIXELS as usize);
            linear_workgroups(groups * form.units(channels), QUAD_LANES)
        }
    }
}

/// Images by channels, as in `shaders/lib/image_channels.wgsl`.
pub(crate) fn image_channel_tiles(images: usize, channels: usize) -> [u32; 3] {
    spread(images, global_max_pool2d::IMAGES, channels, global_max_pool2d::LANES)
}

/// As [`channel_tiles`], with one row or chunk of rows per invocation.
pub(crate) fn channel_chunks(form: Form, chunks: usize, columns: usize) -> [u32; 3] {
    match form {
        Form::Values => spread(chunks, moments::PIXEL_GROUPS, columns, moments::LANES),
        Form::Quads => linear_workgroups(chunks * form.units(columns), QUAD_LANES),
    }
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

    #[test]
    fn shared_tiles_cover_every_row_and_column_and_are_narrow_for_few_columns() {
        for columns in [1, 10, 20, 32, 50, 64, 65, 96, 97, 500, 513] {
            for rows in [1, 64, 65, 128, 129, 25_088] {
                let QuadTiles { lanes, workgroups: [x, y, z] } = shared_tiles(rows, columns);
                assert!(x * lanes * 4 >= columns as u32, "{rows} x {columns}");
                assert!(y * z * (1024 / lanes) >= rows as u32, "{rows} x {columns}");
            }
        }
        let lanes = |rows, columns| shared_tiles(rows, columns).lanes;
        assert_eq!([lanes(25_088, 20), lanes(25_088, 32), lanes(25_088, 80)], [8; 3]);
        assert_eq!([lanes(25_088, 50), lanes(25_088, 64), lanes(25_088, 160), lanes(64, 20)], [16; 4]);
    }
}
