// dgamma = sum of dy (x - mean) / s, dbeta = sum of dy over all values of a channel, with s = sqrt(variance + epsilon);
// dx = gamma / s (dy - dbeta / R - (x - mean) / s dgamma / R) for the batch's statistics, gamma / s dy for given ones.
// One invocation computes a column of 8 rows, in `sums` of a chunk of rows; a row is one or several pixels.
#import channels
#import value

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

@group(0) @binding(0) var<storage, read> x: array<Value>;                  // [rows, width]
@group(0) @binding(1) var<storage, read> dy: array<Value>;                 // [rows, width]
@group(0) @binding(2) var<storage, read> mean: array<Value>;               // [channels]
@group(0) @binding(3) var<storage, read> variance: array<Value>;           // [channels]
@group(0) @binding(4) var<storage, read> gamma: array<Value>;              // [channels]
@group(0) @binding(5) var<storage, read> dgamma: array<Value>;             // [channels]
@group(0) @binding(6) var<storage, read> dbeta: array<Value>;              // [channels]
@group(0) @binding(7) var<storage, read_write> dgammas: array<Value>;      // [chunks, width]: parts of the sums
@group(0) @binding(8) var<storage, read_write> dbetas: array<Value>;       // [chunks, width]
@group(0) @binding(9) var<storage, read_write> dx: array<Value>;           // [rows, width]
@group(0) @binding(10) var<uniform> params: Params;

// 1 / s
fn inverse(c: u32) -> Value {
    return 1.0 / sqrt(variance[c] + params.epsilon);
}

// gamma / s
fn factor(c: u32) -> Value {
    if scale {
        return gamma[c] * inverse(c);
    }
    return inverse(c);
}

struct SumTerms {
    mean: Value,
    inverse: Value, // 1 / s
}

fn sum_terms(c: u32) -> SumTerms {
    return SumTerms(mean[c], inverse(c));
}

// dx = (dy - dy_mean - (x - mean) slope) factor
struct GradientTerms {
    mean: Value,
    slope: Value,
    dy_mean: Value,
    factor: Value,
}

fn gradient_terms(c: u32) -> GradientTerms {
    return GradientTerms(mean[c], inverse(c) * dgamma[c] / params.count, dbeta[c] / params.count, factor(c));
}

// Whether a row is one pixel, so that adjacent columns are adjacent channels.
fn one_pixel() -> bool {
    return params.width == params.channels;
}

#quads
@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn sums(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let column = column_of(group, groups, local, params.width);
    let chunk = row_group_of(group, groups, local, params.width);
    let end = min((chunk + 1u) * params.chunk, params.rows);
    if column >= params.width || chunk * params.chunk >= end {
        return;
    }
    var terms: SumTerms;
    if one_pixel() {
        terms = sum_terms(column);
    } else {
        terms = sum_terms(column % params.channels);
    }
    var dgamma_total = Value();
    var dbeta_total = Value();
    for (var first = chunk * params.chunk; first < end; first += BLOCK) {
        let stop = min(first + BLOCK, end);
        var dgamma_part = Value();
        var dbeta_part = Value();
        for (var row = first; row < stop; row++) {
            let at = row * params.width + column;
            dgamma_part += dy[at] * (x[at] - terms.mean);
            dbeta_part += dy[at];
        }
        dgamma_total += dgamma_part;
        dbeta_total += dbeta_part;
    }
    dgammas[chunk * params.width + column] = dgamma_total * terms.inverse;
    dbetas[chunk * params.width + column] = dbeta_total;
}

#quads
@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let column = column_of(group, groups, local, params.width);
    if column >= params.width {
        return;
    }
    var terms: GradientTerms;
    if one_pixel() {
        terms = gradient_terms(column);
    } else {
        terms = gradient_terms(column % params.channels);
    }
    let first = first_pixel(group, groups, local, params.width);
    let end = min(first + INVOCATION_PIXELS, params.rows);
    for (var row = first; row < end; row++) {
        let at = row * params.width + column;
        dx[at] = (dy[at] - terms.dy_mean - (x[at] - terms.mean) * terms.slope) * terms.factor;
    }
}

#quads
@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn gradient_of_given(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let column = column_of(group, groups, local, params.width);
    if column >= params.width {
        return;
    }
    var scaled: Value;
    if one_pixel() {
        scaled = factor(column);
    } else {
        scaled = factor(column % params.channels);
    }
    let first = first_pixel(group, groups, local, params.width);
    let end = min(first + INVOCATION_PIXELS, params.rows);
    for (var row = first; row < end; row++) {
        let at = row * params.width + column;
        dx[at] = dy[at] * scaled;
    }
}
