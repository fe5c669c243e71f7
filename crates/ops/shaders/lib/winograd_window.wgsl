// The source of Winograd's minimal filtering: windows of 6 x 6 pixels, which overlap by those of the filter minus 1.
#import window
#import winograd

override depth: u32;   // C, channels of the source
override outputs: u32; // M, the height and width in pixels of the tiles of the result: 7 minus the filter's

@group(0) @binding(0) var<storage, read> source: array<f32>; // [N, H, W, C]

// For processors only: it exceeds the workgroup memory of GPUs.
const MEMORY: u32 = 256u * 1024u;
var<workgroup> memory: array<f32, MEMORY>;

// The words of a point's matrix, padded so that the points do not share the sets of a cache.
fn point_words(rows: u32, columns: u32) -> u32 {
    return rows * columns + LANES;
}

// Image, row and column of a tile.
fn tile_at(tile: u32) -> vec3u {
    return place(tile, (out_height + outputs - 1u) / outputs, (out_width + outputs - 1u) / outputs);
}

// Loads six words of memory that are `step` words apart.
fn load_line(at: u32, step: u32) -> Six {
    return Six(
        memory[at],
        memory[at + step],
        memory[at + 2u * step],
        memory[at + 3u * step],
        memory[at + 4u * step],
        memory[at + 5u * step],
    );
}

fn store_line(at: u32, step: u32, line: Six) {
    memory[at] = line.v0;
    memory[at + step] = line.v1;
    memory[at + 2u * step] = line.v2;
    memory[at + 3u * step] = line.v3;
    memory[at + 4u * step] = line.v4;
    memory[at + 5u * step] = line.v5;
}

// Six pixels of the source, `step` values apart.
fn source_line(at: u32, step: u32) -> Six {
    return Six(
        source[at],
        source[at + step],
        source[at + 2u * step],
        source[at + 3u * step],
        source[at + 4u * step],
        source[at + 5u * step],
    );
}

// The same where some of them, from row y on, may be outside of the image; those are 0.
fn source_line_inside(y: i32, at: i32, step: i32, lane: u32) -> Six {
    return Six(
        source_inside(y, at, lane),
        source_inside(y + 1, at + step, lane),
        source_inside(y + 2, at + 2 * step, lane),
        source_inside(y + 3, at + 3 * step, lane),
        source_inside(y + 4, at + 4 * step, lane),
        source_inside(y + 5, at + 5 * step, lane),
    );
}

fn source_inside(y: i32, at: i32, lane: u32) -> f32 {
    if u32(y) < height {
        return source[u32(at) + lane];
    }
    return 0.0;
}

// Transforms some channels of the window of a tile, to word `row` of each point's matrix in memory.
fn transform_window(tile: u32, row: u32, point: u32, first_channel: u32, channels: u32, lane: u32) {
    let at = tile_at(tile);
    let y = i32(at.y * outputs) - i32(pad_top);
    let x = i32(at.z * outputs) - i32(pad_left);
    let corner = ((i32(at.x * height) + y) * i32(width) + x) * i32(depth) + i32(first_channel);
    let whole = y >= 0 && x >= 0 && y + i32(TILE) <= i32(height) && x + i32(TILE) <= i32(width);
    for (var c = 0u; c < channels; c += LANES) {
        let to = row + c + lane;
        for (var j = 0u; j < TILE; j++) {
            let pixel = corner + i32(j * depth + c);
            var line = Six();
            if whole {
                line = source_line(u32(pixel) + lane, width * depth);
            } else if u32(x + i32(j)) < width {
                line = source_line_inside(y, pixel, i32(width * depth), lane);
            }
            store_line(to + j * point, TILE * point, of_image(line));
        }
        for (var i = 0u; i < TILE; i++) {
            let start = to + i * TILE * point;
            store_line(start, point, of_image(load_line(start, point)));
        }
    }
}

// Adds a tile's sums of products to those of the previous channels or tiles.
fn accumulate(at: u32, is_first: bool, sum: vec2f) {
    if is_first {
        memory[at] = sum.x;
        memory[at + LANES] = sum.y;
    } else {
        memory[at] += sum.x;
        memory[at + LANES] += sum.y;
    }
}
