// dgamma = sum of dy (x - mean) / s, dbeta = sum of dy over all values of a channel, with s = sqrt(variance + epsilon);
// dx = gamma / s (dy - dbeta / R - (x - mean) / s dgamma / R) for the batch's statistics, gamma / s dy for given ones.
// One invocation computes a column of 8 rows, in `sums` of a chunk of rows; a row is one or several pixels.
#import channels

override scale: bool; // whether there is a gamma; else it is bound but not read

struct Params {
    rows: u32,
    width: u32,    // columns: a multiple of the channels
    channels: u32, // C
    chunk: u32,    // rows per chunk
    epsilon: f32,
    count: f32,    // R: values per channel
}

const BLOCK: u32 = 16u; // rows of a short sum

@group(0) @binding(0) var<storage, read> x: array<f32>;                  // [rows, width]
@group(0) @binding(1) var<storage, read> dy: array<f32>;                 // [rows, width]
@group(0) @binding(2) var<storage, read> mean: array<f32>;               // [channels]
@group(0) @binding(3) var<storage, read> variance: array<f32>;           // [channels]
@group(0) @binding(4) var<storage, read> gamma: array<f32>;              // [channels]
@group(0) @binding(5) var<storage, read> dgamma: array<f32>;             // [channels]
@group(0) @binding(6) var<storage, read> dbeta: array<f32>;              // [channels]
@group(0) @binding(7) var<storage, read_write> dgammas: array<f32>;      // [chunks, width]: parts of the sums
@group(0) @binding(8) var<storage, read_write> dbetas: array<f32>;       // [chunks, width]
@group(0) @binding(9) var<storage, read_write> dx: array<f32>;           // [rows, width]
@group(0) @binding(10) var<uniform> params: Params;

// 1 / s
fn inverse(c: u32) -> f32 {
    return 1.0 / sqrt(variance[c] + params.epsilon);
}

// gamma / s
fn factor(c: u32) -> f32 {
    if scale {
        return gamma[c] * inverse(c);
    }
    return inverse(c);
}

fn sum_terms(c: u32) -> vec2f {
    return vec2f(mean[c], inverse(c));
}

// (mean of x, its factor, mean of dy, factor of the difference).
fn gradient_terms(c: u32) -> vec4f {
    return vec4f(mean[c], inverse(c) * dgamma[c] / params.count, dbeta[c] / params.count, factor(c));
}

// Whether a row is one pixel, so that adjacent columns are adjacent channels.
fn one_pixel() -> bool {
    return params.width == params.channels;
}

@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn sums(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let column = group.x * LANES + local.x;
    let chunk = (group.z * groups.y + group.y) * PIXEL_GROUPS + local.y;
    let end = min((chunk + 1u) * params.chunk, params.rows);
    if column >= params.width || chunk * params.chunk >= end {
        return;
    }
    var terms: vec2f;
    if one_pixel() {
        terms = sum_terms(column);
    } else {
        terms = sum_terms(column % params.channels);
    }
    var total = vec2f();
    for (var first = chunk * params.chunk; first < end; first += BLOCK) {
        let stop = min(first + BLOCK, end);
        var part = vec2f();
        for (var row = first; row < stop; row++) {
            let at = row * params.width + column;
            part += vec2f(dy[at] * (x[at] - terms.x), dy[at]);
        }
        total += part;
    }
    dgammas[chunk * params.width + column] = total.x * terms.y;
    dbetas[chunk * params.width + column] = total.y;
}

@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let column = group.x * LANES + local.x;
    if column >= params.width {
        return;
    }
    var terms: vec4f;
    if one_pixel() {
        terms = gradient_terms(column);
    } else {
        terms = gradient_terms(column % params.channels);
    }
    let first = first_pixel(group, groups, local);
    let end = min(first + INVOCATION_PIXELS, params.rows);
    for (var row = first; row < end; row++) {
        let at = row * params.width + column;
        dx[at] = (dy[at] - terms.z - (x[at] - terms.x) * terms.y) * terms.w;
    }
}

@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn gradient_of_given(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let column = group.x * LANES + local.x;
    if column >= params.width {
        return;
    }
    var scaled: f32;
    if one_pixel() {
        scaled = factor(column);
    } else {
        scaled = factor(column % params.channels);
    }
    let first = first_pixel(group, groups, local);
    let end = min(first + INVOCATION_PIXELS, params.rows);
    for (var row = first; row < end; row++) {
        let at = row * params.width + column;
        dx[at] = dy[at] * scaled;
    }
}
