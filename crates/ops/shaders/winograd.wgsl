// y[n, oy, ox, k] = bias[k] + sum over r, s, c of x[n, oy + r - pad_top, ox + s - pad_left, c] * kernel[r, s, c, k]
// by Winograd's minimal filtering. One workgroup computes a block of tiles of `outputs` x `outputs` pixels for a chunk of
// the columns: it transforms their windows, multiplies them with the transformed filters for each of the 36 points, and
// transforms the products back, all of which stay in the processor's cache.
#import epilogue
#import winograd_window

override columns: u32;   // K, channels of the result
override has_bias: bool; // else the bias is bound but not read

struct Params {
    tiles: u32,         // of all images in a call
    block: u32,         // tiles per workgroup, a multiple of ROWS
    channel_chunk: u32, // channels transformed at once, a multiple of LANES
    column_chunk: u32,  // columns per workgroup, a multiple of PANEL
}

@group(0) @binding(1) var<storage, read> transformed: array<f32>;  // [36, K / 32, C, 32], K padded
@group(0) @binding(2) var<storage, read> bias: array<f32>;         // [K]
@group(0) @binding(3) var<storage, read> gates: array<f32>;        // [P, K]; bound but not read without a gate
@group(0) @binding(4) var<storage, read_write> result: array<f32>; // [P, K]
@group(0) @binding(5) var<uniform> params: Params;

// Memory holds the transformed windows [36, block, channel_chunk], then the products [36, block, column_chunk].
fn image_point() -> u32 {
    return point_words(params.block, params.channel_chunk);
}

fn product_point() -> u32 {
    return point_words(params.block, params.column_chunk);
}

// Adds the products of a point, of `channels` channels, to those of the previous channels.
fn multiply(point: u32, first_column: u32, panels: u32, rows: u32, first_channel: u32, channels: u32, lane: u32) {
    let all_panels = (columns + PANEL - 1u) / PANEL;
    for (var panel = 0u; panel < panels; panel++) {
        let from_b = ((point * all_panels + first_column / PANEL + panel) * depth + first_channel) * PANEL + lane;
        for (var row = 0u; row < rows; row += ROWS) {
            var b = from_b;
            let a0 = point * image_point() + row * params.channel_chunk;
            let a1 = a0 + params.channel_chunk;
            let a2 = a1 + params.channel_chunk;
            let a3 = a2 + params.channel_chunk;
            let a4 = a3 + params.channel_chunk;
            let a5 = a4 + params.channel_chunk;
            var s0 = vec2f();
            var s1 = vec2f();
            var s2 = vec2f();
            var s3 = vec2f();
            var s4 = vec2f();
            var s5 = vec2f();
            for (var c = 0u; c < channels; c++) {
                let w = vec2f(transformed[b], transformed[b + LANES]);
                s0 = fma(vec2f(memory[a0 + c]), w, s0);
                s1 = fma(vec2f(memory[a1 + c]), w, s1);
                s2 = fma(vec2f(memory[a2 + c]), w, s2);
                s3 = fma(vec2f(memory[a3 + c]), w, s3);
                s4 = fma(vec2f(memory[a4 + c]), w, s4);
                s5 = fma(vec2f(memory[a5 + c]), w, s5);
                b += PANEL;
            }
            let to = POINTS * image_point() + point * product_point() + row * params.column_chunk + panel * PANEL + lane;
            accumulate(to, first_channel == 0u, s0);
            accumulate(to + params.column_chunk, first_channel == 0u, s1);
            accumulate(to + 2u * params.column_chunk, first_channel == 0u, s2);
            accumulate(to + 3u * params.column_chunk, first_channel == 0u, s3);
            accumulate(to + 4u * params.column_chunk, first_channel == 0u, s4);
            accumulate(to + 5u * params.column_chunk, first_channel == 0u, s5);
        }
    }
}

// Stores a value of a pixel of the result, with the bias.
fn store(column: u32, at: u32, value: f32) {
    if column < columns {
        var sum = value;
        if has_bias {
            sum += bias[column];
        }
        result[at] = finish(at, sum);
    }
}

// Transforms the products of a tile back, and stores its pixels.
fn store_tile(tile: u32, row: u32, first_column: u32, panels: u32, lane: u32) {
    let at = tile_at(tile);
    let y = at.y * outputs;
    let x = at.z * outputs;
    let point = product_point();
    let height_inside = min(outputs, out_height - y);
    let width_inside = min(outputs, out_width - x);
    for (var k = 0u; k < panels * PANEL; k += LANES) {
        let column = first_column + k + lane;
        let products = POINTS * image_point() + row * params.column_chunk + k + lane;
        for (var j = 0u; j < TILE; j++) {
            let start = products + j * point;
            let line = of_products(load_line(start, TILE * point), outputs);
            store_line(start, TILE * point, Six(line.v0, line.v1, line.v2, line.v3, 0.0, 0.0));
        }
        for (var i = 0u; i < height_inside; i++) {
            let line = of_products(load_line(products + i * TILE * point, point), outputs);
            let to = ((at.x * out_height + y + i) * out_width + x) * columns + column;
            store(column, to, line.v0);
            if width_inside > 1u {
                store(column, to + columns, line.v1);
            }
            if width_inside > 2u {
                store(column, to + 2u * columns, line.v2);
            }
            if width_inside > 3u {
                store(column, to + 3u * columns, line.v3);
            }
        }
    }
}

@compute @workgroup_size(LANES)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let first = (group.z * groups.y + group.y) * params.block;
    let tiles = min(params.tiles, first + params.block) - min(params.tiles, first);
    let first_column = group.x * params.column_chunk;
    let panels = (min(params.column_chunk, columns - first_column) + PANEL - 1u) / PANEL;
    for (var channel = 0u; channel < depth; channel += params.channel_chunk) {
        let channels = min(params.channel_chunk, depth - channel);
        for (var row = 0u; row < tiles; row++) {
            transform_window(first + row, row * params.channel_chunk, image_point(), channel, channels, local.x);
            // On a processor, the vectors of a workgroup take turns at each barrier, and share lines of the cache.
            workgroupBarrier();
        }
        for (var point = 0u; point < POINTS; point++) {
            multiply(point, first_column, panels, tiles, channel, channels, local.x);
            workgroupBarrier();
        }
    }
    for (var row = 0u; row < tiles; row++) {
        store_tile(first + row, row, first_column, panels, local.x);
        workgroupBarrier();
    }
}
