// y[n, r, q, c] = scale * (x[n, :, :, c] at row d0 r + d1 q + d2 and column d3 r + d4 q + d5, d = draws[n]) + offset.
// One invocation computes one pixel, lanes along columns. Positions between pixels are interpolated or use the nearest one;
// an image whose transform is not finite is NaN.
#import augment
#import nan
#import warp

override height: u32;       // H
override width: u32;        // W
override channels: u32;     // C
override interpolated: bool;
override fill_mode: u32;    // of values outside of the image

struct Params {
    rows: u32, // N * H
    cval: f32,
    scale: f32,
    offset: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [N, H, W, C]
@group(0) @binding(1) var<storage, read> draws: array<f32>;   // [N, DRAWS]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [N, H, W, C]
@group(0) @binding(3) var<uniform> params: Params;

fn outside(place: f32, size: u32) -> bool {
    return place < 0.0 || place > f32(size - 1u);
}

fn reflected(k: i32, size: i32) -> i32 {
    let around = (k % (2 * size) + 2 * size) % (2 * size);
    return min(around, 2 * size - 1 - around);
}

// In the fill mode WRAP, the last pixel and the first coincide: bcabc|abcd|bcdbc.
fn between(place: f32, size: u32) -> Between {
    let n = i32(size);
    var b = Between(i32(floor(place)), i32(floor(place)) + 1, place - floor(place));
    if outside(place, size) {
        if fill_mode == REFLECT {
            b.first = reflected(b.first, n);
            b.second = reflected(b.second, n);
        } else if fill_mode == WRAP {
            if place < 0.0 && b.share == 0.0 {
                b = Between(b.first - 1, b.first, 1.0);
            }
            let period = max(n - 1, 1);
            b.first = (b.first % period + period) % period;
            b.second = b.first + 1;
        }
    }
    return Between(clamp(b.first, 0, n - 1), clamp(b.second, 0, n - 1), b.share);
}

@compute @workgroup_size(COLUMNS, ROWS)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let row = (group.z * groups.y + group.y) * ROWS + local.y;
    let column = group.x * COLUMNS + local.x;
    if row >= params.rows || column >= width {
        return;
    }
    let image = row / height;
    let d = image * DRAWS;
    let r = f32(row % height);
    let q = f32(column);
    let place = vec2f(draws[d] * r + draws[d + 1u] * q + draws[d + 2u], draws[d + 3u] * r + draws[d + 4u] * q + draws[d + 5u]);
    let rows = between(place.x, height);
    let columns = between(place.y, width);
    let is_filled = fill_mode == CONSTANT && (outside(place.x, height) || outside(place.y, width));

    let upper = (image * height + u32(rows.first)) * width;
    let lower = (image * height + u32(rows.second)) * width;
    let a = (upper + u32(columns.first)) * channels;
    let b = (upper + u32(columns.second)) * channels;
    let e = (lower + u32(columns.first)) * channels;
    let f = (lower + u32(columns.second)) * channels;
    let near = select(select(a, b, columns.share >= 0.5), select(e, f, columns.share >= 0.5), rows.share >= 0.5);
    var largest = 0;
    for (var i = 0u; i < 6u; i++) {
        largest = max(largest, magnitude(draws[d + i]));
    }
    let out = (row * width + column) * channels;
    for (var c = 0u; c < channels; c++) {
        var value = x[near + c];
        if interpolated {
            value = along(along(x[a + c], x[b + c], columns.share), along(x[e + c], x[f + c], columns.share), rows.share);
        }
        value = params.scale * select(value, params.cval, is_filled) + params.offset;
        y[out + c] = unless_any_nan(value, select(0, INFINITE + 1, largest >= INFINITE));
    }
}
