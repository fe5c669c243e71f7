// y[n, r, q, c] = x[n, :, :, c] at row m0 r + m1 q + m2 and column m3 r + m4 q + m5, m = maps[n]. dx is the transpose of that.
// `forward`: one invocation computes one pixel, lanes along columns. `gradient`: one invocation adds up one channel of an image.
// Positions between pixels are interpolated or use the nearest one; an image whose map is not finite is NaN.
#import affine
#import linear
#import nan
#import warp

override height: u32;       // H
override width: u32;        // W
override channels: u32;     // C
override interpolated: bool;
override fill_mode: u32;    // of values outside of the image

struct Params {
    rows: u32,   // N * H
    planes: u32, // N * C
    fill_value: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [N, H, W, C]
@group(0) @binding(1) var<storage, read> maps: array<f32>;     // [N, MAP]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [N, H, W, C]
@group(0) @binding(3) var<storage, read> dy: array<f32>;       // [N, H, W, C]
@group(0) @binding(4) var<storage, read_write> dx: array<f32>; // [N, H, W, C]
@group(0) @binding(5) var<uniform> params: Params;

// A position within the image that has the value of this one. In the fill mode CONSTANT, it may be outside.
fn inside(place: f32, size: u32) -> f32 {
    let n = f32(size);
    var at = place;
    if fill_mode == CONSTANT {
        return clamp(at, -2.0, n + 1.0);
    } else if fill_mode == REFLECT {
        at -= 2.0 * n * floor(at / (2.0 * n));
        at = select(at, 2.0 * n - 1.0 - at, at >= n);
    } else if fill_mode == WRAP {
        let last = max(n - 1.0, 1.0);
        if at < 0.0 {
            at += n * (floor(-at / last) + 1.0);
        } else if at > n - 1.0 {
            at -= n * floor(at / last);
        }
    }
    return clamp(at, 0.0, n - 1.0);
}

// The pixels may be outside.
fn between(place: f32, size: u32) -> Between {
    let at = inside(place, size);
    if interpolated {
        return Between(i32(floor(at)), i32(floor(at)) + 1, at - floor(at));
    }
    // Half-way between two pixels, the one farther from 0.
    let pixel = i32(select(ceil(at - 0.5), floor(at + 0.5), at >= 0.0));
    return Between(pixel, pixel, 0.0);
}

fn is_pixel(row: i32, column: i32) -> bool {
    return row >= 0 && row < i32(height) && column >= 0 && column < i32(width);
}

// The index of channel 0 of the nearest pixel of an image.
fn index(image: u32, row: i32, column: i32) -> u32 {
    let r = u32(clamp(row, 0, i32(height) - 1));
    let q = u32(clamp(column, 0, i32(width) - 1));
    return ((image * height + r) * width + q) * channels;
}

// The source of a pixel of the result: its row, or its column for `first` 3.
fn source(image: u32, first: u32, r: u32, q: u32) -> f32 {
    let m = image * MAP + first;
    return maps[m] * f32(r) + maps[m + 1u] * f32(q) + maps[m + 2u];
}

// The bits of the largest number of a map, which are those of infinity or of a NaN if it is not finite.
fn largest_of(image: u32) -> i32 {
    var largest = 0;
    for (var i = 0u; i < MAP; i++) {
        largest = max(largest, magnitude(maps[image * MAP + i]));
    }
    return select(0, INFINITE + 1, largest >= INFINITE);
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
    let rows = between(source(image, 0u, row % height, column), height);
    let columns = between(source(image, 3u, row % height, column), width);
    let a = index(image, rows.first, columns.first);
    let b = index(image, rows.first, columns.second);
    let e = index(image, rows.second, columns.first);
    let f = index(image, rows.second, columns.second);
    let has_a = is_pixel(rows.first, columns.first);
    let has_b = is_pixel(rows.first, columns.second);
    let has_e = is_pixel(rows.second, columns.first);
    let has_f = is_pixel(rows.second, columns.second);
    let largest = largest_of(image);
    let k = params.fill_value;
    let out = (row * width + column) * channels;
    for (var c = 0u; c < channels; c++) {
        let upper = along(select(k, x[a + c], has_a), select(k, x[b + c], has_b), columns.share);
        let lower = along(select(k, x[e + c], has_e), select(k, x[f + c], has_f), columns.share);
        y[out + c] = unless_any_nan(along(upper, lower, rows.share), largest);
    }
}

// Adds a share of `value` to channel c of a pixel, if it has one and is inside.
fn spread(image: u32, row: i32, column: i32, c: u32, share: f32, value: f32) {
    if share != 0.0 && is_pixel(row, column) {
        dx[index(image, row, column) + c] += share * value;
    }
}

@compute @workgroup_size(256)
fn gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let plane = linear_index(group, groups, local);
    if plane >= params.planes {
        return;
    }
    let image = plane / channels;
    let c = plane % channels;
    let begin = image * height * width * channels + c;
    let largest = largest_of(image);
    for (var p = 0u; p < height * width; p++) {
        dx[begin + p * channels] = unless_any_nan(0.0, largest);
    }
    for (var p = 0u; p < height * width; p++) {
        let rows = between(source(image, 0u, p / width, p % width), height);
        let columns = between(source(image, 3u, p / width, p % width), width);
        let value = dy[begin + p * channels];
        spread(image, rows.first, columns.first, c, (1.0 - rows.share) * (1.0 - columns.share), value);
        spread(image, rows.first, columns.second, c, (1.0 - rows.share) * columns.share, value);
        spread(image, rows.second, columns.first, c, rows.share * (1.0 - columns.share), value);
        spread(image, rows.second, columns.second, c, rows.share * columns.share, value);
    }
}
