// y[n, oy, ox, c] = max over r, s of x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c]; padding is excluded.
// One invocation computes one channel of 8 pixels. The window's gradient goes to its first maximum in row-major order;
// NaN is larger than all other values.
#import channels
#import epilogue
#import nan
#import window

override channels: u32; // C

const NOWHERE: u32 = 0xffffffffu;

struct Params {
    pixels: u32, // of y or of dx, or cells of dx
    lowest: f32, // minus infinity, for which WGSL has no literal
}

@group(0) @binding(0) var<storage, read> x: array<Value>;        // [N, H, W, C]
@group(0) @binding(1) var<storage, read_write> y: array<Value>;  // [N, OH, OW, C]
@group(0) @binding(2) var<storage, read> dy: array<Value>;       // [N, OH, OW, C]
@group(0) @binding(3) var<storage, read> gates: array<Value>;    // [N, H, W, C]; bound but not read without a gate
@group(0) @binding(4) var<storage, read_write> dx: array<Value>; // [N, H, W, C]
@group(0) @binding(5) var<uniform> params: Params;

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
        var best = Value(params.lowest);
        var largest = Bits();
        for (var r = 0u; r < window_height; r++) {
            let iy = out.y * stride_y + r - pad_top; // wraps to a huge number above the image
            for (var s = 0u; s < window_width; s++) {
                let ix = out.z * stride_x + s - pad_left;
                if iy < height && ix < width {
                    let v = x[(image + iy * width + ix) * channels + c];
                    best = max(best, v);
                    largest = max(largest, magnitude(v));
                }
            }
        }
        y[pixel * channels + c] = unless_any_nan(best, largest);
        out = next(out, out_height, out_width);
    }
}

// Whether x at (iy, ix), of this value, is the first NaN of the window at (oy, ox).
fn is_first_nan(image: u32, c: u32, oy: u32, ox: u32, iy: u32, ix: u32, v: Value) -> Flags {
    var first = is_nan(v);
    for (var r = 0u; r < window_height; r++) {
        let y_other = oy * stride_y + r - pad_top;
        for (var s = 0u; s < window_width; s++) {
            let x_other = ox * stride_x + s - pad_left;
            if y_other < height && x_other < width && (y_other < iy || (y_other == iy && x_other < ix)) {
                first = first & !is_nan(x[(image + y_other * width + x_other) * channels + c]);
            }
        }
    }
    return first;
}

// Whether x at (iy, ix), of this value, is the first maximum of the window at (oy, ox).
fn is_first_maximum(image: u32, c: u32, oy: u32, ox: u32, iy: u32, ix: u32, v: Value) -> Flags {
    var first = Flags(true);
    var largest = Bits();
    for (var r = 0u; r < window_height; r++) {
        let y_other = oy * stride_y + r - pad_top;
        for (var s = 0u; s < window_width; s++) {
            let x_other = ox * stride_x + s - pad_left;
            if y_other < height && x_other < width {
                let other = x[(image + y_other * width + x_other) * channels + c];
                largest = max(largest, magnitude(other));
                if y_other < iy || (y_other == iy && x_other < ix) {
                    first = first & !(other >= v);
                } else {
                    first = first & !(other > v);
                }
            }
        }
    }
    let nan = largest > Bits(INFINITE);
    if any(nan) {
        first = select(first, is_first_nan(image, c, oy, ox, iy, ix, v), nan);
    }
    return first;
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
        let v = x[pixel * channels + c];
        let rows = windows_over(at.y + pad_top, window_height, stride_y, out_height);
        let columns = windows_over(at.z + pad_left, window_width, stride_x, out_width);
        var total = Value();
        for (var oy = rows.x; oy < rows.y; oy++) {
            for (var ox = columns.x; ox < columns.y; ox++) {
                let wins = is_first_maximum(at.x * height * width, c, oy, ox, at.y, at.z, v);
                if any(wins) {
                    let d = dy[((at.x * out_height + oy) * out_width + ox) * channels + c];
                    total += select(Value(), d, wins);
                }
            }
        }
        dx[pixel * channels + c] = finish(pixel * channels + c, total);
        at = next(at, height, width);
    }
}

// The tap of a window's first NaN, if any.
fn first_nan(image: u32, c: u32, top: u32, left: u32) -> Places {
    var first = Places(window_height * window_width);
    for (var r = 0u; r < window_height; r++) {
        for (var s = 0u; s < window_width; s++) {
            if top + r < height && left + s < width {
                let found = is_nan(x[(image + (top + r) * width + left + s) * channels + c]);
                first = select(first, min(first, Places(r * window_width + s)), found);
            }
        }
    }
    return first;
}

// The gradient for windows that do not overlap: one invocation computes one channel of 8 cells, each of which is a
// window with the pixels up to the next one. The cells cover the image.
#quads
@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn gradient_apart(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let c = column_of(group, groups, local, channels);
    if c >= channels {
        return;
    }
    let rows = (height + pad_top + stride_y - 1u) / stride_y;
    let columns = (width + pad_left + stride_x - 1u) / stride_x;
    let first = first_pixel(group, groups, local, channels);
    let end = min(first + INVOCATION_PIXELS, params.pixels);
    var cell = place(first, rows, columns);
    for (var i = first; i < end; i++) {
        let image = cell.x * height * width;
        let top = cell.y * stride_y - pad_top; // wraps to a huge number above the image
        let left = cell.z * stride_x - pad_left;
        let none = Places(window_height * window_width);
        var best = Value();
        var best_at = none;
        var largest = Bits();
        var d = Value();
        if cell.y < out_height && cell.z < out_width {
            d = dy[((cell.x * out_height + cell.y) * out_width + cell.z) * channels + c];
            for (var r = 0u; r < window_height; r++) {
                for (var s = 0u; s < window_width; s++) {
                    if top + r < height && left + s < width {
                        let v = x[(image + (top + r) * width + left + s) * channels + c];
                        let better = (v > best) | (best_at == none);
                        largest = max(largest, magnitude(v));
                        best = select(best, v, better);
                        best_at = select(best_at, Places(r * window_width + s), better);
                    }
                }
            }
        }
        let nan = largest > Bits(INFINITE);
        if any(nan) {
            best_at = select(best_at, first_nan(image, c, top, left), nan);
        }
        for (var r = 0u; r < stride_y; r++) {
            for (var s = 0u; s < stride_x; s++) {
                if top + r < height && left + s < width {
                    let at = (image + (top + r) * width + left + s) * channels + c;
                    // A place past the window's columns is the number of one in the next row.
                    let place = select(NOWHERE, r * window_width + s, r < window_height && s < window_width);
                    dx[at] = finish(at, select(Value(), d, best_at == Places(place)));
                }
            }
        }
        cell = next(cell, rows, columns);
    }
}
