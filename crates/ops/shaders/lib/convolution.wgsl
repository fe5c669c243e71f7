// What the kernels of a convolution and of its input gradient share:
// result[p, k] = bias[k] + sum over taps (r, s) and d of source[address(p, r, s) + d] * weights[(r*S + s)*D + d, k].
// The importing file says which taps there are, where a tap of a pixel lies in the source, and where a pixel lies in the
// result.
#import epilogue
#import window

override depth: u32;     // D, channels of the source
override columns: u32;   // K, channels of the result
override has_bias: bool; // else the bias is bound but not read
override inner: u32;     // channels of the source that are not filled up: rows of a tap in `weights4`

struct Params {
    pixels: u32,  // P: those of all images that a call computes
    phase_y: u32, // where in a stride these lie, for the gradient of a convolution with strides: a call for each
    phase_x: u32,
}

@group(0) @binding(0) var<storage, read> source: array<vec4f>;      // [P', D]
@group(0) @binding(1) var<storage, read> weights: array<f32>;       // [R, S, D, K]
@group(0) @binding(2) var<storage, read> bias: array<f32>;          // [K]
@group(0) @binding(3) var<storage, read> gates: array<f32>;         // [P, K]; bound but not read without a gate
@group(0) @binding(4) var<storage, read_write> result: array<f32>;  // [P, K]
@group(0) @binding(5) var<uniform> params: Params;
@group(0) @binding(6) var<storage, read> weights4: array<vec4f>;    // [R, S, inner, K / 4], K filled up to a multiple of 4

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

// Four columns of the weights of a channel of a tap, 0 for channels that fill rows up.
fn channel_weights(tap: u32, channel: u32, stride: u32, quad: u32) -> vec4f {
    if inner == depth {
        return weights4[(tap + channel) * stride + quad];
    }
    return select(vec4f(), weights4[(tap + min(channel, inner - 1u)) * stride + quad], channel < inner);
}
