// The sum of a chunk of rows for the weight gradient of a depthwise convolution.
#import depthwise

struct Params {
    rows: u32,       // N * OH
    unit: u32,       // rows of a unit: some whole images
    chunk: u32,      // rows of a chunk: a unit, or a part of it
    unit_chunks: u32, // chunks of a unit
    chunks: u32,     // of all units
}

const BLOCK: u32 = 256u; // pixels of a short sum

@group(0) @binding(0) var<storage, read> x: array<Value>;             // [N, H, W, C]
@group(0) @binding(1) var<storage, read> dy: array<Value>;            // [N, OH, OW, C]
@group(0) @binding(2) var<storage, read_write> partial: array<Value>; // [chunks, R, S, C]
@group(0) @binding(3) var<uniform> params: Params;

// A sum of short sums, each of four: long ones would have larger rounding errors, and wait for each addition.
fn chunk_sum(chunk: u32, tap: u32, c: u32) -> Value {
    let unit = chunk / params.unit_chunks * params.unit;
    let first = unit + chunk % params.unit_chunks * params.chunk;
    let end = min(min(first + params.chunk, unit + params.unit), params.rows);
    // The columns for which the tap is in the image.
    let ahead = i32(tap % window_width * dilation_x) - i32(pad_left);
    let left = (u32(max(-ahead, 0)) + stride_x - 1u) / stride_x;
    let last = i32(width) - 1 - ahead;
    let right = min(select(u32(last) / stride_x + 1u, 0u, last < 0), out_width);
    let down = tap / window_width * dilation_y;
    let step = stride_x * channels;
    var image = first / out_height;
    var oy = first % out_height;
    var total = Value();
    for (var row = first; row < end; row++) {
        let iy = oy * stride_y + down - pad_top; // wraps above the image
        if iy < height && left < right {
            var at = ((image * height + iy) * width + u32(i32(left * stride_x) + ahead)) * channels + c;
            var dy_at = (row * out_width + left) * channels + c;
            var ox = left;
            while ox < right {
                let stop = min(ox + BLOCK, right);
                var p0 = Value();
                var p1 = Value();
                var p2 = Value();
                var p3 = Value();
                for (; ox + 4u <= stop; ox += 4u) {
                    p0 = fma(x[at], dy[dy_at], p0);
                    at += step;
                    dy_at += channels;
                    p1 = fma(x[at], dy[dy_at], p1);
                    at += step;
                    dy_at += channels;
                    p2 = fma(x[at], dy[dy_at], p2);
                    at += step;
                    dy_at += channels;
                    p3 = fma(x[at], dy[dy_at], p3);
                    at += step;
                    dy_at += channels;
                }
                for (; ox < stop; ox++) {
                    p0 = fma(x[at], dy[dy_at], p0);
                    at += step;
                    dy_at += channels;
                }
                total += (p0 + p1) + (p2 + p3);
            }
        }
        oy++;
        if oy == out_height {
            oy = 0u;
            image++;
        }
    }
    return total;
}
