// mean[c] = sum over r of x[r, c] / R; variance[c] = sum over r of (x[r, c] - mean[c])^2 / R
// `chunks`: one invocation computes one column of a chunk of rows; `merge`: 16 invocations merge the chunks of a channel.
#import channels
#import long_sum
#import value

struct Params {
    rows: u32,     // of x, as rows of whole vectors
    width: u32,    // columns of x: one or several pixels of all channels
    channels: u32, // C
    chunk: u32,    // rows per chunk
    parts: u32,    // means and sums per channel
    count: u32,    // R: values per channel
}

const BLOCK: u32 = 32u; // rows that are read twice: for their mean, then for their squared differences
const MERGERS: u32 = 16u;
const MERGE_LANES: u32 = 16u;

@group(0) @binding(0) var<storage, read> x: array<Value>;                // [rows, width]
@group(0) @binding(1) var<storage, read_write> means: array<Value>;      // [chunks, width]
@group(0) @binding(2) var<storage, read_write> squares: array<Value>;    // [chunks, width]
@group(0) @binding(3) var<storage, read> part_means: array<f32>;       // [parts, channels]: means
@group(0) @binding(4) var<storage, read> part_squares: array<f32>;     // [parts, channels]: squares
@group(0) @binding(5) var<storage, read_write> mean: array<f32>;       // [channels]
@group(0) @binding(6) var<storage, read_write> variance: array<f32>;   // [channels]
@group(0) @binding(7) var<uniform> params: Params;

var<workgroup> sums: array<f32, 256>; // [MERGERS, MERGE_LANES]

// Of some rows of a column.
struct Moments {
    sum: Value,
    mean: Value,
    squares: Value, // sum of squared differences from the mean
}

fn block_moments(first: u32, count: u32) -> Moments {
    var total = Value();
    var at = first;
    for (var row = 0u; row < count; row++) {
        total += x[at];
        at += params.width;
    }
    let mean = total / f32(count);
    var differences = Value();
    at = first;
    for (var row = 0u; row < count; row++) {
        let difference = x[at] - mean;
        differences += difference * difference;
        at += params.width;
    }
    return Moments(total, mean, differences);
}

#quads
@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn chunks(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let column = column_of(group, groups, local, params.width);
    let chunk = row_group_of(group, groups, local, params.width);
    let first = chunk * params.chunk;
    let end = min(first + params.chunk, params.rows);
    if column >= params.width || first >= end {
        return;
    }
    var chunk_total = Value();
    var chunk_mean = Value();
    var chunk_squares = Value();
    for (var row = first; row < end; row += BLOCK) {
        let stop = min(row + BLOCK, end);
        let moments = block_moments(row * params.width + column, stop - row);
        // Merges the block with the previous rows (Chan, Golub and LeVeque 1979).
        let share = f32(stop - row) / f32(stop - first);
        let apart = moments.mean - chunk_mean;
        chunk_total += moments.sum;
        chunk_mean += apart * share;
        chunk_squares += moments.squares + apart * apart * (f32(row - first) * share);
    }
    // Not the mean so far, which is NaN after an infinite value.
    means[chunk * params.width + column] = chunk_total / f32(end - first);
    squares[chunk * params.width + column] = chunk_squares;
}

// The number of values of a part: the last chunk may have fewer rows.
fn size(part: u32) -> f32 {
    let first = part / (params.width / params.channels) * params.chunk;
    return f32(min(params.chunk, params.rows - first));
}

fn sum_of_mergers(lane: u32) -> f32 {
    var total = 0.0;
    for (var merger = 0u; merger < MERGERS; merger++) {
        total += sums[merger * MERGE_LANES + lane];
    }
    return total;
}

@compute @workgroup_size(MERGE_LANES, MERGERS)
fn merge(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let c = group.x * MERGE_LANES + local.x;
    var levels = vec4f();
    for (var block = 0u; block * TERMS * MERGERS < params.parts; block++) {
        let end = min((block + 1u) * TERMS * MERGERS, params.parts);
        var total = 0.0;
        for (var part = block * TERMS * MERGERS + local.y; part < end; part += MERGERS) {
            total += size(part) * part_means[part * params.channels + c];
        }
        levels = add_block(levels, total, block);
    }
    sums[local.y * MERGE_LANES + local.x] = sum_of_blocks(levels);
    workgroupBarrier(); // all sums are written
    let whole = sum_of_mergers(local.x) / f32(params.count);
    levels = vec4f();
    for (var block = 0u; block * TERMS * MERGERS < params.parts; block++) {
        let end = min((block + 1u) * TERMS * MERGERS, params.parts);
        var differences = 0.0;
        for (var part = block * TERMS * MERGERS + local.y; part < end; part += MERGERS) {
            let apart = part_means[part * params.channels + c] - whole;
            differences += part_squares[part * params.channels + c] + size(part) * (apart * apart);
        }
        levels = add_block(levels, differences, block);
    }
    workgroupBarrier(); // all sums are read
    sums[local.y * MERGE_LANES + local.x] = sum_of_blocks(levels);
    workgroupBarrier(); // all differences are written
    if local.y == 0u && c < params.channels {
        mean[c] = whole;
        variance[c] = sum_of_mergers(local.x) / f32(params.count);
    }
}
