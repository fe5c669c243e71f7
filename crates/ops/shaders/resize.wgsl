// y[n, v, u] = x at ((v + 1/2) H / OH - 1/2, (u + 1/2) W / OW - 1/2), interpolated between the two nearest rows and columns, or
// of the pixel whose area holds that point. Beyond the outermost pixels' centres, their values.
// dx[n, h, w] = the sum of dy times the share that x[n, h, w] has in it. One invocation computes one channel of 8 pixels.
#import channels

override nearest: bool; // whether a pixel is copied instead of interpolated

struct Params {
    pixels: u32,   // N * OH * OW for `forward`, N * H * W for `gradient`
    channels: u32, // C
    size: vec2u,   // H and W
    out: vec2u,    // OH and OW
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [N, H, W, C]
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // [N, OH, OW, C]
@group(0) @binding(2) var<storage, read> dy: array<f32>;       // [N, OH, OW, C]
@group(0) @binding(3) var<storage, read_write> dx: array<f32>; // [N, H, W, C]
@group(0) @binding(4) var<uniform> params: Params;

// The first of the two source places of a place along an axis, and how far it is from there to the second.
struct Source {
    first: u32,
    share: f32,
}

// In integers: the place is ((2 at + 1) size - out) / (2 out).
fn source(at: u32, size: u32, out: u32) -> Source {
    if nearest {
        return Source((2u * at + 1u) * size / (2u * out), 0.0);
    }
    let middle = (2u * at + 1u) * size;
    let place = max(middle, out) - out;
    let first = place / (2u * out);
    if first + 1u >= size {
        return Source(size - 1u, 0.0);
    }
    return Source(first, f32(place % (2u * out)) / f32(2u * out));
}

// Between two values, the first alone where the share is 0, even if the second is infinite.
fn between(a: f32, b: f32, share: f32) -> f32 {
    return select(a * (1.0 - share) + b * share, a, share == 0.0);
}

@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let c = column_of(group, groups, local, params.channels);
    let begin = first_pixel(group, groups, local, params.channels);
    let end = min(begin + INVOCATION_PIXELS, params.pixels);
    if c >= params.channels {
        return;
    }
    for (var p = begin; p < end; p++) {
        let row = p / params.out.y;
        let v = source(row % params.out.x, params.size.x, params.out.x);
        let u = source(p % params.out.y, params.size.y, params.out.y);
        let image = row / params.out.x * params.size.x;
        let down = select(0u, 1u, v.share > 0.0);
        let right = select(0u, 1u, u.share > 0.0);
        let above = (image + v.first) * params.size.y + u.first;
        let below = above + down * params.size.y;
        let top = between(x[above * params.channels + c], x[(above + right) * params.channels + c], u.share);
        let bottom = between(x[below * params.channels + c], x[(below + right) * params.channels + c], u.share);
        y[p * params.channels + c] = between(top, bottom, v.share);
    }
}

// The share that the source place `at` has in the place `out_at`.
fn share(out_at: u32, at: u32, size: u32, out: u32) -> f32 {
    let s = source(out_at, size, out);
    if s.first == at {
        return 1.0 - s.share;
    }
    return select(0.0, s.share, s.first + 1u == at);
}

// The first place in which `at` has a share, or one before it, and the end of those places.
fn reach(at: u32, size: u32, out: u32) -> vec2u {
    let before = select(0u, (2u * at - 1u) * out, at > 0u);
    let begin = (max(before, size) - size) / (2u * size);
    let end = ((2u * at + 3u) * out) / (2u * size) + 1u;
    return vec2u(begin, select(min(end, out), out, at + 1u == size));
}

@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let c = column_of(group, groups, local, params.channels);
    let begin = first_pixel(group, groups, local, params.channels);
    let end = min(begin + INVOCATION_PIXELS, params.pixels);
    if c >= params.channels {
        return;
    }
    for (var p = begin; p < end; p++) {
        let row = p / params.size.y;
        let h = row % params.size.x;
        let w = p % params.size.y;
        let image = row / params.size.x * params.out.x;
        let rows = reach(h, params.size.x, params.out.x);
        let columns = reach(w, params.size.y, params.out.y);
        var total = 0.0;
        for (var v = rows.x; v < rows.y; v++) {
            let vertical = share(v, h, params.size.x, params.out.x);
            if vertical == 0.0 {
                continue;
            }
            var part = 0.0;
            for (var u = columns.x; u < columns.y; u++) {
                let horizontal = share(u, w, params.size.y, params.out.y);
                if horizontal > 0.0 {
                    part += horizontal * dy[((image + v) * params.out.y + u) * params.channels + c];
                }
            }
            total += vertical * part;
        }
        dx[p * params.channels + c] = total;
    }
}
