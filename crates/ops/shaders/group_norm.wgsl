// y = gamma (x - mean) inverse + beta with mean and inverse = 1 / sqrt(variance + epsilon) of each group of channels of an image.
// dx = inverse (g - mean of g - (x - mean) inverse mean of g (x - mean) inverse), with g = gamma dy and means over the group;
// dgamma = sum of dy (x - mean) inverse, dbeta = sum of dy, per channel.
// One workgroup computes one group; in `sums` one invocation sums one channel of a chunk of pixels.
#import channels
#import long_sum

override scale: bool;  // whether there is a gamma; else it is bound but not read
override center: bool; // whether there is a beta; else it is bound but not read

struct Params {
    images: u32,   // N
    pixels: u32,   // P, of an image
    channels: u32, // C
    groups: u32,   // G, of an image
    chunk: u32,    // pixels of a chunk of `sums`
    wide: u32,     // 1: all invocations side by side along channels; 0: LANES of them, in rows along pixels
    epsilon: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;             // [N, P, C]
@group(0) @binding(1) var<storage, read> gamma: array<f32>;         // [C]
@group(0) @binding(2) var<storage, read> beta: array<f32>;          // [C]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;       // [N, P, C]
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;    // [N, G]
@group(0) @binding(5) var<storage, read_write> inverse: array<f32>; // [N, G]
@group(0) @binding(6) var<storage, read> dy: array<f32>;            // [N, P, C]
@group(0) @binding(7) var<storage, read> means: array<f32>;         // [N, G], of `forward`
@group(0) @binding(8) var<storage, read> inverses: array<f32>;      // [N, G], of `forward`
@group(0) @binding(9) var<storage, read_write> dx: array<f32>;      // [N, P, C]
@group(0) @binding(10) var<storage, read_write> dgammas: array<f32>; // [chunks, C]
@group(0) @binding(11) var<storage, read_write> dbetas: array<f32>;  // [chunks, C]
@group(0) @binding(12) var<uniform> params: Params;

var<workgroup> parts: array<vec2f, 64>; // [PIXEL_GROUPS, LANES]

// The sum of the first row's parts, to which those of the other rows have been added.
fn whole_sum() -> vec2f {
    var total = vec2f();
    for (var lane = 0u; lane < LANES; lane++) {
        total += parts[lane];
    }
    return total;
}

fn add_rows(lane: u32) -> vec2f {
    return (parts[lane] + parts[LANES + lane]) + (parts[2u * LANES + lane] + parts[3u * LANES + lane]);
}

@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    // Workgroups beyond the last group compute it again: all invocations reach the barriers.
    let number = min(group.y * groups.x + group.x, params.images * params.groups - 1u);
    let width = params.channels / params.groups; // channels of a group
    let first_channel = number % params.groups * width;
    let image_start = number / params.groups * params.pixels;
    let count = f32(params.pixels * width);
    let start = local.x + local.y * (LANES * params.wide);
    let step = select(LANES, LANES * PIXEL_GROUPS, params.wide == 1u);
    let start_pixel = local.y * (1u - params.wide);
    let step_pixel = select(PIXEL_GROUPS, 1u, params.wide == 1u);

    var levels = vec4f();
    var blocks = 0u;
    for (var p = start_pixel; p < params.pixels; p += step_pixel) {
        let row = (image_start + p) * params.channels + first_channel;
        for (var begin = 0u; begin < width; begin += step * TERMS) {
            var part = 0.0;
            let end = min(begin + step * TERMS, width);
            for (var c = begin + start; c < end; c += step) {
                part += x[row + c];
            }
            levels = add_block(levels, part, blocks);
            blocks++;
        }
    }
    parts[local.y * LANES + local.x] = vec2f(sum_of_blocks(levels), 0.0);
    workgroupBarrier(); // all sums are written
    let row_sum = add_rows(local.x);
    workgroupBarrier(); // all sums are read
    parts[local.y * LANES + local.x] = row_sum;
    workgroupBarrier(); // the sums of rows are written
    let center_of = whole_sum().x / count;
    workgroupBarrier(); // they are read

    levels = vec4f();
    blocks = 0u;
    for (var p = start_pixel; p < params.pixels; p += step_pixel) {
        let row = (image_start + p) * params.channels + first_channel;
        for (var begin = 0u; begin < width; begin += step * TERMS) {
            var part = 0.0;
            let end = min(begin + step * TERMS, width);
            for (var c = begin + start; c < end; c += step) {
                let apart = x[row + c] - center_of;
                part += apart * apart;
            }
            levels = add_block(levels, part, blocks);
            blocks++;
        }
    }
    parts[local.y * LANES + local.x] = vec2f(sum_of_blocks(levels), 0.0);
    workgroupBarrier(); // all sums are written
    let row_squares = add_rows(local.x);
    workgroupBarrier(); // all sums are read
    parts[local.y * LANES + local.x] = row_squares;
    workgroupBarrier(); // the sums of rows are written
    let inverse_of = 1.0 / sqrt(whole_sum().x / count + params.epsilon);

    if local.x == 0u && local.y == 0u {
        mean[number] = center_of;
        inverse[number] = inverse_of;
    }
    for (var p = start_pixel; p < params.pixels; p += step_pixel) {
        let row = (image_start + p) * params.channels + first_channel;
        for (var c = start; c < width; c += step) {
            var value = (x[row + c] - center_of) * inverse_of;
            if scale {
                value *= gamma[first_channel + c];
            }
            if center {
                value += beta[first_channel + c];
            }
            y[row + c] = value;
        }
    }
}

@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    // Workgroups beyond the last group compute it again: all invocations reach the barriers.
    let number = min(group.y * groups.x + group.x, params.images * params.groups - 1u);
    let width = params.channels / params.groups;
    let first_channel = number % params.groups * width;
    let image_start = number / params.groups * params.pixels;
    let count = f32(params.pixels * width);
    let start = local.x + local.y * (LANES * params.wide);
    let step = select(LANES, LANES * PIXEL_GROUPS, params.wide == 1u);
    let start_pixel = local.y * (1u - params.wide);
    let step_pixel = select(PIXEL_GROUPS, 1u, params.wide == 1u);
    let center_of = means[number];
    let inverse_of = inverses[number];

    var levels = vec4f();
    var levels_of_product = vec4f();
    var blocks = 0u;
    for (var p = start_pixel; p < params.pixels; p += step_pixel) {
        let row = (image_start + p) * params.channels + first_channel;
        for (var begin = 0u; begin < width; begin += step * TERMS) {
            var part = vec2f();
            let end = min(begin + step * TERMS, width);
            for (var c = begin + start; c < end; c += step) {
                var g = dy[row + c];
                if scale {
                    g *= gamma[first_channel + c];
                }
                part += vec2f(g, g * ((x[row + c] - center_of) * inverse_of));
            }
            levels = add_block(levels, part.x, blocks);
            levels_of_product = add_block(levels_of_product, part.y, blocks);
            blocks++;
        }
    }
    parts[local.y * LANES + local.x] = vec2f(sum_of_blocks(levels), sum_of_blocks(levels_of_product));
    workgroupBarrier(); // all sums are written
    let row_sum = add_rows(local.x);
    workgroupBarrier(); // all sums are read
    parts[local.y * LANES + local.x] = row_sum;
    workgroupBarrier(); // the sums of rows are written
    let average = whole_sum() / count;

    for (var p = start_pixel; p < params.pixels; p += step_pixel) {
        let row = (image_start + p) * params.channels + first_channel;
        for (var c = start; c < width; c += step) {
            var g = dy[row + c];
            if scale {
                g *= gamma[first_channel + c];
            }
            let normal = (x[row + c] - center_of) * inverse_of;
            dx[row + c] = inverse_of * (g - average.x - normal * average.y);
        }
    }
}

// Chunks of pixels are along y, wrapping to z.
@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn sums(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let c = column_of(group, groups, local, params.channels);
    let chunk = row_group_of(group, groups, local, params.channels);
    let end = min((chunk + 1u) * params.chunk, params.images * params.pixels);
    if c >= params.channels || chunk * params.chunk >= end {
        return;
    }
    let width = params.channels / params.groups;
    var total = vec2f();
    for (var begin = chunk * params.chunk; begin < end; begin += TERMS) {
        let stop = min(begin + TERMS, end);
        var part = vec2f();
        for (var pixel = begin; pixel < stop; pixel++) {
            let d = dy[pixel * params.channels + c];
            var apart = x[pixel * params.channels + c];
            if params.groups == 1u {
                let number = pixel / params.pixels;
                apart = (apart - means[number]) * inverses[number];
            } else {
                let number = pixel / params.pixels * params.groups + c / width;
                apart = (apart - means[number]) * inverses[number];
            }
            part += vec2f(d * apart, d);
        }
        total += part;
    }
    dgammas[chunk * params.channels + c] = total.x;
    dbetas[chunk * params.channels + c] = total.y;
}
