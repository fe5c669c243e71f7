// dkernel[r, s, c, k] = sum over n, oy, ox of x[n, oy + r - pad_top, ox + s - pad_left, c] * dy[n, oy, ox, k]
// by Winograd's minimal filtering. One workgroup sums the products of a chunk of the tiles for a chunk of the channels and
// one of the filters, a block of tiles at a time; the chunks' sums are added later.
#import winograd_window

override filters: u32; // K

struct Params {
    tiles: u32,         // of all images in a call
    chunk: u32,         // tiles per chunk
    block: u32,         // tiles that are transformed at once
    channel_chunk: u32, // channels per workgroup, a multiple of LANES
    filter_chunk: u32,  // filters per workgroup, a multiple of PANEL
}

@group(0) @binding(1) var<storage, read> dy: array<f32>;            // [N, OH, OW, K]
@group(0) @binding(2) var<storage, read_write> partial: array<f32>; // [chunks, R, R, C, K]
@group(0) @binding(3) var<uniform> params: Params;

// Memory holds the transformed windows [36, block, channel_chunk], the transformed tiles of dy [36, block,
// filter_chunk], and the sums of their products [36, channel_chunk, filter_chunk].
fn image_point() -> u32 {
    return point_words(params.block, params.channel_chunk);
}

fn gradient_point() -> u32 {
    return point_words(params.block, params.filter_chunk);
}

fn sum_point() -> u32 {
    return point_words((params.channel_chunk + ROWS - 1u) / ROWS * ROWS, params.filter_chunk);
}

fn gradients() -> u32 {
    return POINTS * image_point();
}

fn sums() -> u32 {
    return gradients() + POINTS * gradient_point();
}

// A value of dy, or 0 outside of the result.
fn gradient_inside(inside: bool, at: u32) -> f32 {
    if inside {
        return dy[at];
    }
    return 0.0;
}

// Transforms some filters of a tile of dy.
fn transform_gradient(tile: u32, row: u32, first_filter: u32, width_of_chunk: u32, lane: u32) {
    let at = tile_at(tile);
    let y = at.y * outputs;
    let x = at.z * outputs;
    let corner = ((at.x * out_height + y) * out_width + x) * filters + first_filter;
    let rows = min(outputs, out_height - y);
    let columns = min(outputs, out_width - x);
    let down = out_width * filters;
    let point = gradient_point();
    for (var k = 0u; k < width_of_chunk; k += LANES) {
        let to = gradients() + row * params.filter_chunk + k + lane;
        for (var j = 0u; j < outputs; j++) {
            let pixel = corner + j * filters + k + lane;
            var line = Five();
            if j < columns {
                line = Five(
                    dy[pixel],
                    gradient_inside(rows > 1u, pixel + down),
                    gradient_inside(rows > 2u, pixel + 2u * down),
                    gradient_inside(rows > 3u, pixel + 3u * down),
                    0.0,
                );
            }
            store_line(to + j * point, TILE * point, of_filter(line, outputs));
        }
        for (var i = 0u; i < TILE; i++) {
            let start = to + i * TILE * point;
            var line = Five(memory[start], memory[start + point], 0.0, 0.0, 0.0);
            if outputs == 4u {
                line.v2 = memory[start + 2u * point];
                line.v3 = memory[start + 3u * point];
            }
            store_line(start, point, of_filter(line, outputs));
        }
    }
}

// Adds the products of a point over a block's tiles to the sums.
fn multiply(point: u32, rows: u32, channels: u32, panels: u32, is_first: bool, lane: u32) {
    for (var panel = 0u; panel < panels; panel++) {
        for (var channel = 0u; channel < channels; channel += ROWS) {
            var a = point * image_point() + channel;
            var b = gradients() + point * gradient_point() + panel * PANEL + lane;
            var s0 = vec2f();
            var s1 = vec2f();
            var s2 = vec2f();
            var s3 = vec2f();
            var s4 = vec2f();
            var s5 = vec2f();
            for (var row = 0u; row < rows; row++) {
                let w = vec2f(memory[b], memory[b + LANES]);
                s0 = fma(vec2f(memory[a]), w, s0);
                s1 = fma(vec2f(memory[a + 1u]), w, s1);
                s2 = fma(vec2f(memory[a + 2u]), w, s2);
                s3 = fma(vec2f(memory[a + 3u]), w, s3);
                s4 = fma(vec2f(memory[a + 4u]), w, s4);
                s5 = fma(vec2f(memory[a + 5u]), w, s5);
                a += params.channel_chunk;
                b += params.filter_chunk;
            }
            let to = sums() + point * sum_point() + channel * params.filter_chunk + panel * PANEL + lane;
            accumulate(to, is_first, s0);
            accumulate(to + params.filter_chunk, is_first, s1);
            accumulate(to + 2u * params.filter_chunk, is_first, s2);
            accumulate(to + 3u * params.filter_chunk, is_first, s3);
            accumulate(to + 4u * params.filter_chunk, is_first, s4);
            accumulate(to + 5u * params.filter_chunk, is_first, s5);
        }
    }
}

fn store(filter_at: u32, at: u32, value: f32) {
    if filter_at < filters {
        partial[at] = value;
    }
}

// Transforms the sums of a channel back, and stores its part of the gradient.
fn store_channel(chunk: u32, channel: u32, first_channel: u32, first_filter: u32, panels: u32, lane: u32) {
    let taps = TILE + 1u - outputs;
    let point = sum_point();
    let next_tap = depth * filters;
    for (var k = 0u; k < panels * PANEL; k += LANES) {
        let filter_at = first_filter + k + lane;
        let products = sums() + channel * params.filter_chunk + k + lane;
        for (var j = 0u; j < TILE; j++) {
            let start = products + j * point;
            let line = of_products(load_line(start, TILE * point), taps);
            store_line(start, TILE * point, Six(line.v0, line.v1, line.v2, line.v3, line.v4, 0.0));
        }
        for (var r = 0u; r < taps; r++) {
            let line = of_products(load_line(products + r * TILE * point, point), taps);
            let to = ((chunk * taps + r) * taps * depth + first_channel + channel) * filters + filter_at;
            store(filter_at, to, line.v0);
            store(filter_at, to + next_tap, line.v1);
            store(filter_at, to + 2u * next_tap, line.v2);
            if taps == 5u {
                store(filter_at, to + 3u * next_tap, line.v3);
                store(filter_at, to + 4u * next_tap, line.v4);
            }
        }
    }
}

@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let first_filter = group.x * params.filter_chunk;
    let panels = (min(params.filter_chunk, filters - first_filter) + PANEL - 1u) / PANEL;
    let first_channel = group.y * params.channel_chunk;
    let channels = min(params.channel_chunk, depth - first_channel);
    let start = group.z * params.chunk;
    let end = min(params.tiles, start + params.chunk);
    for (var tile = start; tile < end; tile += params.block) {
        let rows = min(params.block, end - tile);
        for (var row = 0u; row < rows; row++) {
            transform_window(tile + row, row * params.channel_chunk, image_point(), first_channel, channels, local.x);
            transform_gradient(tile + row, row, first_filter, panels * PANEL, local.x);
            workgroupBarrier();
        }
        for (var point = 0u; point < POINTS; point++) {
            multiply(point, rows, channels, panels, tile == start, local.x);
            workgroupBarrier();
        }
    }
    for (var channel = 0u; channel < channels; channel++) {
        store_channel(group.z, channel, first_channel, first_filter, panels, local.x);
        workgroupBarrier();
    }
}
