// Shared by the kernels of a convolution and of its input gradient:
// result[p, k] = bias[k] + sum over taps (r, s) and d of source[address(p, r, s) + d] * weights[(r*S + s)*D + d, k].
// The importing file defines the taps, the address of a tap in the source, and the position of a pixel in the result.
#import epilogue
#import window

override depth: u32;     // D, channels of the source
override columns: u32;   // K, channels of the result
override has_bias: bool; // else the bias is bound but not read
override inner: u32;     // channels of the source without padding: rows of a tap in `weights4`

struct Params {
    pixels: u32,   // P: of all images in a call
    channels: u32, // D again: drivers unroll a loop up to a constant until it needs too many registers
    phase_y: u32,  // their offset modulo the strides, for the gradient of a strided convolution: a call for each
    phase_x: u32,
}

@group(0) @binding(0) var<storage, read> source: array<vec4f>;      // [P', D]
@group(0) @binding(1) var<storage, read> weights: array<f32>;       // [R, S, D, K]
@group(0) @binding(2) var<storage, read> bias: array<f32>;          // [K]
@group(0) @binding(3) var<storage, read> gates: array<f32>;         // [P, K]; bound but not read without a gate
@group(0) @binding(4) var<storage, read_write> result: array<f32>;  // [P, K]
@group(0) @binding(5) var<uniform> params: Params;
@group(0) @binding(6) var<storage, read> weights4: array<vec4f>;    // [R, S, inner, K / 4], K padded to a multiple of 4

// What `window_at` returns for a pixel of the call.
fn locate(pixel: u32) -> vec3i {
    let size = grid();
    return window_at(place(pixel, size.x, size.y));
}

// Four columns of the bias.
fn bias_quad(column: u32) -> vec4f {
    if has_bias {
        return vec4f(bias[column], bias[column + 1u], bias[column + 2u], bias[column + 3u]);
    }
    return vec4f();
}

fn store_quad(pixel: u32, column: u32, value: vec4f) {
    if pixel < params.pixels {
        for (var i = 0u; i < 4u; i++) {
            if column + i < columns {
                let at = result_pixel(pixel) * columns + column + i;
                result[at] = finish(at, value[i]);
            }
        }
    }
}

// Four columns of the weights of a channel of a tap, 0 for padding channels.
fn channel_weights(tap: u32, channel: u32, stride: u32, quad: u32) -> vec4f {
    if inner == depth {
        return weights4[(tap + channel) * stride + quad];
    }
    return select(vec4f(), weights4[(tap + min(channel, inner - 1u)) * stride + quad], channel < inner);
}
