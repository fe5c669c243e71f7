// y[n, oy, ox, k] = bias[k] + sum over r, s, c of x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c] * kernel[r, s, c, k]
// for images of few channels. One workgroup computes a block of rows of one image's result, 6 pixels x 2 filters at a time.
#import epilogue
#import padded_rows

override columns: u32;   // K, channels of the result
override has_bias: bool; // else the bias is bound but not read

struct Params {
    blocks: u32, // of all images in a call
    rows: u32,   // of the result, per block
}

@group(0) @binding(1) var<storage, read> weights: array<f32>;      // [R, S, C, K]
@group(0) @binding(2) var<storage, read> bias: array<f32>;         // [K]
@group(0) @binding(3) var<storage, read> gates: array<f32>;        // [N, OH, OW, K]; bound but not read without a gate
@group(0) @binding(4) var<storage, read_write> result: array<f32>; // [N, OH, OW, K]
@group(0) @binding(5) var<uniform> params: Params;

// Stores two filters of a pixel of the row of the result that begins at `row`.
fn store(row: u32, x: u32, column: u32, value: vec2f) {
    let at = (row + x) * columns + column;
    if x < out_width {
        if column < columns {
            result[at] = finish(at, value.x);
        }
        if column + LANES < columns {
            result[at + LANES] = finish(at + LANES, value.y);
        }
    }
}

// Computes a tile of the row of the result that begins at `row`; its first window is at `window` in memory.
fn store_tile(row: u32, x: u32, window: u32, column: u32) {
    let step = stride_x * depth;
    var s0 = vec2f();
    if has_bias {
        s0 = vec2f(bias[column], bias[column + LANES]);
    }
    var s1 = s0;
    var s2 = s0;
    var s3 = s0;
    var s4 = s0;
    var s5 = s0;
    var w = column;
    for (var r = 0u; r < window_height; r++) {
        let a = window + r * row_words();
        for (var at = a; at < a + window_width * depth; at++) {
            let b = vec2f(weights[w], weights[w + LANES]);
            s0 = fma(vec2f(memory[at]), b, s0);
            s1 = fma(vec2f(memory[at + step]), b, s1);
            s2 = fma(vec2f(memory[at + 2u * step]), b, s2);
            s3 = fma(vec2f(memory[at + 3u * step]), b, s3);
            s4 = fma(vec2f(memory[at + 4u * step]), b, s4);
            s5 = fma(vec2f(memory[at + 5u * step]), b, s5);
            w += columns;
        }
    }
    store(row, x, column, s0);
    store(row, x + 1u, column, s1);
    store(row, x + 2u, column, s2);
    store(row, x + 3u, column, s3);
    store(row, x + 4u, column, s4);
    store(row, x + 5u, column, s5);
}

@compute @workgroup_size(LANES)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let block = group.z * groups.y + group.y;
    if block >= params.blocks {
        return;
    }
    let blocks_of_image = (out_height + params.rows - 1u) / params.rows;
    let image = block / blocks_of_image;
    let first = block % blocks_of_image * params.rows;
    let count = min(params.rows, out_height - first);
    copy_rows(image, first, count, local.x);
    workgroupBarrier();
    for (var column = 0u; column < columns; column += TILE_COLUMNS) {
        for (var y = 0u; y < count; y++) {
            let row = (image * out_height + first + y) * out_width;
            for (var x = 0u; x < out_width; x += INVOCATION_ROWS) {
                store_tile(row, x, y * stride_y * row_words() + x * stride_x * depth, column + local.x);
            }
        }
    }
}
