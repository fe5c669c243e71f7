// y[n, oy, ox, c] = mean over the r, s inside the image of x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c].
// One invocation computes one channel of 8 pixels. Padding is excluded from the mean.
#import channels
#import value
#import window

override channels: u32; // C

struct Params {
    pixels: u32, // of y, or of dx
}

@group(0) @binding(0) var<storage, read> x: array<Value>;        // [N, H, W, C]
@group(0) @binding(1) var<storage, read_write> y: array<Value>;  // [N, OH, OW, C]
@group(0) @binding(2) var<storage, read> dy: array<Value>;       // [N, OH, OW, C]
@group(0) @binding(3) var<storage, read_write> dx: array<Value>; // [N, H, W, C]
@group(0) @binding(4) var<uniform> params: Params;

// The number of the `extent` positions from `start` on (offset by `pad`) that are inside an image of `size`.
fn inside(start: u32, extent: u32, pad: u32, size: u32) -> u32 {
    return min(start + extent, size + pad) - max(start, pad);
}

fn cells(oy: u32, ox: u32) -> f32 {
    let rows = inside(oy * stride_y, window_height, pad_top, height);
    return f32(rows * inside(ox * stride_x, window_width, pad_left, width));
}

#quads
@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let c = column_of(group, groups, local, channels);
    if c >= channels {
        return;
    }
    let first = first_pixel(group, groups, local, channels);
    let end = min(first + INVOCATION_PIXELS, params.pixels);
    var out = place(first, out_height, out_width);
    for (var pixel = first; pixel < end; pixel++) {
        let image = out.x * height * width;
        var total = Value();
        for (var r = 0u; r < window_height; r++) {
            let iy = out.y * stride_y + r - pad_top; // wraps to a huge number above the image
            var part = Value();
            for (var s = 0u; s < window_width; s++) {
                let ix = out.z * stride_x + s - pad_left;
                if iy < height && ix < width {
                    part += x[(image + iy * width + ix) * channels + c];
                }
            }
            total += part;
        }
        y[pixel * channels + c] = total / cells(out.y, out.z);
        out = next(out, out_height, out_width);
    }
}

#quads
@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let c = column_of(group, groups, local, channels);
    if c >= channels {
        return;
    }
    let first = first_pixel(group, groups, local, channels);
    let end = min(first + INVOCATION_PIXELS, params.pixels);
    var at = place(first, height, width);
    for (var pixel = first; pixel < end; pixel++) {
        let rows = windows_over(at.y + pad_top, window_height, stride_y, out_height);
        let columns = windows_over(at.z + pad_left, window_width, stride_x, out_width);
        var total = Value();
        for (var oy = rows.x; oy < rows.y; oy++) {
            var part = Value();
            for (var ox = columns.x; ox < columns.y; ox++) {
                part += dy[((at.x * out_height + oy) * out_width + ox) * channels + c] / cells(oy, ox);
            }
            total += part;
        }
        dx[pixel * channels + c] = total;
        at = next(at, height, width);
    }
}
