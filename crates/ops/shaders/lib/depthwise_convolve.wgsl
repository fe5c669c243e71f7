// A depthwise convolution or, `transposed`, its input gradient:
// result[n, y, x, c] = bias[c] + sum over r, s of source[n, source_row(y, r), column of (x, s), c] * weights[r, s, c].
// One invocation computes a channel of a part of a row, 7 pixels at a time: a weight is loaded once for all of them, and
// the maps of networks for images of 224 x 224 are multiples of 7 wide. Strided gradients have the pixels with the same
// offset modulo the stride in a part, as those have the same taps and adjacent source pixels.
// The importing file defines `finished`, which applies the epilogue to a value.
#import depthwise
#import epilogue

override transposed: bool;
override has_bias: bool; // else the bias is bound but not read

struct Params {
    count: u32,       // parts of all rows
    parts: u32,       // of a row, or of the pixels of a row with the same offset
    part_pixels: u32, // a multiple of TILE
}

const TILE: u32 = 7u; // pixels that share loads of weights
const NOWHERE: u32 = 0xffffffffu;

@group(0) @binding(0) var<storage, read> source: array<Value>;       // [N, H, W, C]; [N, OH, OW, C] if transposed
@group(0) @binding(1) var<storage, read> weights: array<Value>;      // [R, S, C]
@group(0) @binding(2) var<storage, read> bias: array<Value>;         // [C]
@group(0) @binding(3) var<storage, read> gates: array<f32>;          // as result; bound but not read without a gate
@group(0) @binding(4) var<storage, read_write> result: array<Value>; // [N, OH, OW, C]; [N, H, W, C] if transposed
@group(0) @binding(5) var<uniform> params: Params;

// The source's row for tap r of a row of the result; huge outside of the image.
fn source_row(y: u32, r: u32) -> u32 {
    if transposed {
        let at = y + pad_top - r * dilation_y; // wraps above the image
        return select(NOWHERE, at / stride_y, at % stride_y == 0u);
    }
    return y * stride_y + r * dilation_y - pad_top; // wraps above the image
}

// sum + the product with a source pixel, if that is in the image.
fn add_inside(sum: Value, row: u32, x: u32, source_columns: u32, c: u32, w: Value) -> Value {
    if x < source_columns {
        return fma(source[(row + x) * channels + c], w, sum);
    }
    return sum;
}

fn store(pixel: u32, is_there: bool, c: u32, v: Value) {
    if is_there && c < channels {
        let at = pixel * channels + c;
        result[at] = finished(at, v);
    }
}

fn convolve(index: u32, c: u32) {
    let rows = select(out_height, height, transposed);
    let columns = select(out_width, width, transposed);
    let source_rows = select(height, out_height, transposed);
    let source_columns = select(width, out_width, transposed);
    let apart = select(1u, stride_x, transposed); // columns of the result
    let step = select(stride_x, 1u, transposed);  // columns of the source
    let row = index / (params.parts * apart); // of all images
    let place = index % (params.parts * apart);
    let phase = place / params.parts;
    let begin = place % params.parts * params.part_pixels;
    let end = min(begin + params.part_pixels, (columns - phase + apart - 1u) / apart);
    let y = row % rows;
    let image = row / rows * source_rows;
    var start = Value();
    if has_bias {
        start = bias[c];
    }
    for (var first = begin; first < end; first += TILE) {
        var s0 = start;
        var s1 = start;
        var s2 = start;
        var s3 = start;
        var s4 = start;
        var s5 = start;
        var s6 = start;
        for (var r = 0u; r < window_height; r++) {
            let source_y = source_row(y, r);
            if source_y < source_rows {
                let source_at = (image + source_y) * source_columns;
                for (var s = 0u; s < window_width; s++) {
                    var x = i32(first * step + s * dilation_x) - i32(pad_left);
                    var is_tap = true;
                    if transposed {
                        let ahead = i32(phase + pad_left) - i32(s * dilation_x);
                        is_tap = ahead % i32(stride_x) == 0;
                        x = ahead / i32(stride_x) + i32(first);
                    }
                    if is_tap {
                        let w = weights[(r * window_width + s) * channels + c];
                        let left = u32(x); // huge left of the image
                        if x >= 0 && left + (TILE - 1u) * step < source_columns {
                            let at = (source_at + left) * channels + c;
                            let next = step * channels;
                            s0 = fma(source[at], w, s0);
                            s1 = fma(source[at + next], w, s1);
                            s2 = fma(source[at + 2u * next], w, s2);
                            s3 = fma(source[at + 3u * next], w, s3);
                            s4 = fma(source[at + 4u * next], w, s4);
                            s5 = fma(source[at + 5u * next], w, s5);
                            s6 = fma(source[at + 6u * next], w, s6);
                        } else {
                            s0 = add_inside(s0, source_at, left, source_columns, c, w);
                            s1 = add_inside(s1, source_at, left + step, source_columns, c, w);
                            s2 = add_inside(s2, source_at, left + 2u * step, source_columns, c, w);
                            s3 = add_inside(s3, source_at, left + 3u * step, source_columns, c, w);
                            s4 = add_inside(s4, source_at, left + 4u * step, source_columns, c, w);
                            s5 = add_inside(s5, source_at, left + 5u * step, source_columns, c, w);
                            s6 = add_inside(s6, source_at, left + 6u * step, source_columns, c, w);
                        }
                    }
                }
            }
        }
        let pixel = row * columns + phase + first * apart;
        store(pixel, true, c, s0);
        store(pixel + apart, first + 1u < end, c, s1);
        store(pixel + 2u * apart, first + 2u < end, c, s2);
        store(pixel + 3u * apart, first + 3u < end, c, s3);
        store(pixel + 4u * apart, first + 4u < end, c, s4);
        store(pixel + 5u * apart, first + 5u < end, c, s5);
        store(pixel + 6u * apart, first + 6u < end, c, s6);
    }
}
