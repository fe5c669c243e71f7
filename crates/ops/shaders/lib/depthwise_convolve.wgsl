// A depthwise convolution or, `transposed`, its input gradient:
// result[n, y, x, c] = bias[c] + sum over r, s of source[n, source_row(y, r), column of (x, s), c] * weights[r, s, c].
// One invocation computes a channel of 7 pixels of a row: a weight is loaded once for all of them, and the maps of networks
// for images of 224 x 224 are multiples of 7 wide. In a strided gradient they have the same offset modulo the stride: such
// pixels have the same taps, and adjacent source pixels.
#import depthwise
#import epilogue
#import value

override transposed: bool;
override has_bias: bool; // else the bias is bound but not read

struct Params {
    count: u32, // tiles of all rows
    tiles: u32, // of a row, or of the pixels of a row with the same offset
}

const TILE: u32 = 7u; // pixels of an invocation
const NOWHERE: u32 = 0xffffffffu;

@group(0) @binding(0) var<storage, read> source: array<Value>;       // [N, H, W, C]; [N, OH, OW, C] if transposed
@group(0) @binding(1) var<storage, read> weights: array<Value>;      // [R, S, C]
@group(0) @binding(2) var<storage, read> bias: array<Value>;         // [C]
@group(0) @binding(3) var<storage, read> gates: array<Value>;        // as result; bound but not read without a gate
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

fn store(row: u32, column: u32, columns: u32, c: u32, v: Value) {
    if column < columns && c < channels {
        let at = (row + column) * channels + c;
        result[at] = finish(at, v);
    }
}

fn convolve(index: u32, c: u32) {
    let rows = select(out_height, height, transposed);
    let columns = select(out_width, width, transposed);
    let source_rows = select(height, out_height, transposed);
    let source_columns = select(width, out_width, transposed);
    let apart = select(1u, stride_x, transposed); // columns of the result
    let step = select(stride_x, 1u, transposed);  // columns of the source
    let tile = index % params.tiles;
    let phase = index / params.tiles % apart;
    let row = index / params.tiles / apart; // of all images
    let y = row % rows;
    let image = row / rows * source_rows;
    let first = tile * TILE;
    let ahead = i32(phase + pad_left);
    let behind = i32(first * step) - i32(pad_left);
    let next = step * channels;
    var s0 = Value();
    if has_bias {
        s0 = bias[c];
    }
    var s1 = s0;
    var s2 = s0;
    var s3 = s0;
    var s4 = s0;
    var s5 = s0;
    var s6 = s0;
    for (var r = 0u; r < window_height; r++) {
        let source_y = source_row(y, r);
        if source_y < source_rows {
            let source_at = (image + source_y) * source_columns;
            for (var s = 0u; s < window_width; s++) {
                var x = behind + i32(s * dilation_x);
                var is_tap = true;
                if transposed {
                    x = ahead - i32(s * dilation_x);
                    if stride_x > 1u {
                        is_tap = x % i32(stride_x) == 0;
                        x = x / i32(stride_x);
                    }
                    x += i32(first);
                }
                if is_tap {
                    let w = weights[(r * window_width + s) * channels + c];
                    let left = u32(x); // huge left of the image
                    if x >= 0 && left + (TILE - 1u) * step < source_columns {
                        var at = (source_at + left) * channels + c;
                        s0 = fma(source[at], w, s0);
                        at += next;
                        s1 = fma(source[at], w, s1);
                        at += next;
                        s2 = fma(source[at], w, s2);
                        at += next;
                        s3 = fma(source[at], w, s3);
                        at += next;
                        s4 = fma(source[at], w, s4);
                        at += next;
                        s5 = fma(source[at], w, s5);
                        at += next;
                        s6 = fma(source[at], w, s6);
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
    var column = phase + first * apart;
    let pixel = row * columns;
    store(pixel, column, columns, c, s0);
    column += apart;
    store(pixel, column, columns, c, s1);
    column += apart;
    store(pixel, column, columns, c, s2);
    column += apart;
    store(pixel, column, columns, c, s3);
    column += apart;
    store(pixel, column, columns, c, s4);
    column += apart;
    store(pixel, column, columns, c, s5);
    column += apart;
    store(pixel, column, columns, c, s6);
}
