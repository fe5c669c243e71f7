// dkernel[r, s, c, k] = sum over n, oy, ox of x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c] * dy[n, oy, ox, k]
// for images of few channels. One workgroup sums a chunk of the blocks, each of some rows of one image's dy, for 32 filters, 6
// rows (r, s, c) x 2 filters at a time; the chunks' sums are added later.
#import padded_rows

override filters: u32; // K

struct Params {
    blocks: u32,      // of all images in a call
    rows: u32,        // of dy, per block
    chunk: u32,       // blocks per chunk
    parts: u32,       // chunks per group of images; the last one may be smaller
    group: u32,       // blocks per group
    first_chunk: u32, // of the call
}

@group(0) @binding(1) var<storage, read> dy: array<f32>;            // [N, OH, OW, K]
@group(0) @binding(2) var<storage, read_write> partial: array<f32>; // [chunks, R, S, C, K]
@group(0) @binding(3) var<uniform> params: Params;

fn rows() -> u32 {
    return window_height * window_width * depth;
}

// The offset in memory of a row (r, s, c) from the first; of the last one for rows past it.
fn tap(row: u32) -> u32 {
    let of_row = window_width * depth;
    let inside = min(row, rows() - 1u);
    return inside / of_row * row_words() + inside % of_row;
}

// The sums of the previous blocks. Rows and columns past the last are computed but not stored.
fn stored(chunk: u32, row: u32, column: u32) -> vec2f {
    let at = (chunk * rows() + min(row, rows() - 1u)) * filters;
    return vec2f(partial[at + min(column, filters - 1u)], partial[at + min(column + LANES, filters - 1u)]);
}

fn store(chunk: u32, row: u32, column: u32, value: vec2f) {
    if row < rows() {
        let at = (chunk * rows() + row) * filters + column;
        if column < filters {
            partial[at] = value.x;
        }
        if column + LANES < filters {
            partial[at + LANES] = value.y;
        }
    }
}

// Adds the products of a block, whose dy begins at `start`, for six rows.
fn add_block(chunk: u32, is_first: bool, row: u32, column: u32, start: u32, count: u32) {
    let t0 = tap(row);
    let t1 = tap(row + 1u);
    let t2 = tap(row + 2u);
    let t3 = tap(row + 3u);
    let t4 = tap(row + 4u);
    let t5 = tap(row + 5u);
    var s0 = vec2f();
    var s1 = vec2f();
    var s2 = vec2f();
    var s3 = vec2f();
    var s4 = vec2f();
    var s5 = vec2f();
    if !is_first {
        s0 = stored(chunk, row, column);
        s1 = stored(chunk, row + 1u, column);
        s2 = stored(chunk, row + 2u, column);
        s3 = stored(chunk, row + 3u, column);
        s4 = stored(chunk, row + 4u, column);
        s5 = stored(chunk, row + 5u, column);
    }
    var at = start + column;
    for (var y = 0u; y < count; y++) {
        var a = y * stride_y * row_words();
        for (var x = 0u; x < out_width; x++) {
            let b = vec2f(dy[at], dy[at + LANES]);
            s0 = fma(vec2f(memory[a + t0]), b, s0);
            s1 = fma(vec2f(memory[a + t1]), b, s1);
            s2 = fma(vec2f(memory[a + t2]), b, s2);
            s3 = fma(vec2f(memory[a + t3]), b, s3);
            s4 = fma(vec2f(memory[a + t4]), b, s4);
            s5 = fma(vec2f(memory[a + t5]), b, s5);
            a += stride_x * depth;
            at += filters;
        }
    }
    store(chunk, row, column, s0);
    store(chunk, row + 1u, column, s1);
    store(chunk, row + 2u, column, s2);
    store(chunk, row + 3u, column, s3);
    store(chunk, row + 4u, column, s4);
    store(chunk, row + 5u, column, s5);
}

@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let blocks_of_image = (out_height + params.rows - 1u) / params.rows;
    let chunk = params.first_chunk + group.y;
    let start_of_group = group.y / params.parts * params.group;
    let begin = start_of_group + group.y % params.parts * params.chunk;
    let end = min(min(begin + params.chunk, start_of_group + params.group), params.blocks);
    for (var block = begin; block < end; block++) {
        let image = block / blocks_of_image;
        let first = block % blocks_of_image * params.rows;
        let count = min(params.rows, out_height - first);
        copy_rows(image, first, count, local.x);
        workgroupBarrier();
        let start = (image * out_height + first) * out_width * filters;
        let column = group.x * TILE_COLUMNS + local.x;
        for (var row = 0u; row < rows(); row += INVOCATION_ROWS) {
            add_block(chunk, block == begin, row, column, start, count);
        }
        workgroupBarrier();
    }
}
