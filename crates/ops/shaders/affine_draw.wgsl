// maps[n] = a flip, rotation, zoom or translation of image n by random factors.
// One invocation draws for one image. A pixel (r, q) of the result comes from row m0 r + m1 q + m2 and column m3 r + m4 q + m5.
#import affine
#import linear
#import random
#import step

const FLIP: u32 = 0u;        // of half of the images, along each axis whose factor is above 0
const ROTATION: u32 = 1u;    // turns
const ZOOM: u32 = 2u;        // below 1 magnifies
const TRANSLATION: u32 = 3u; // fractions of height and width

struct Params {
    images: u32,  // N
    stream: u32,  // which of the network's layers this is
    kind: u32,
    tied: u32,    // 1: the horizontal factor is the vertical one
    size: vec2u,  // H and W, pixels
    low: vec2f,   // the least factors, vertical and horizontal
    high: vec2f,  // the most
}

@group(0) @binding(0) var<storage, read_write> maps: array<f32>; // [N, MAP]
@group(0) @binding(1) var<uniform> params: Params;

const TWO_PI: f32 = 6.283185307;

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let n = linear_index(group, groups, local);
    if n >= params.images {
        return;
    }
    let draw = random4(step.place + n, params.stream, step.key);
    let vertical = params.low.x + (params.high.x - params.low.x) * uniform_of(draw.x);
    let drawn = params.low.y + (params.high.y - params.low.y) * uniform_of(draw.y);
    let horizontal = select(drawn, vertical, params.tied == 1u);
    let last = vec2f(f32(params.size.x), f32(params.size.y)) - 1.0;

    // The linear part, by rows, and how far it moves the image.
    var turn = vec4f(1.0, 0.0, 0.0, 1.0);
    var shift = vec2f();
    if params.kind == FLIP {
        let flipped = uniform_of(draw.x) < 0.5;
        let down = flipped && params.high.x > 0.0;
        let right = flipped && params.high.y > 0.0;
        turn = vec4f(select(1.0, -1.0, down), 0.0, 0.0, select(1.0, -1.0, right));
        shift = vec2f(select(0.0, last.x, down), select(0.0, last.y, right));
    } else if params.kind == ROTATION {
        // From -pi to pi, where WGSL says how exact a cosine is.
        let angle = TWO_PI * (vertical - floor(vertical + 0.5));
        turn = vec4f(cos(angle), sin(angle), -sin(angle), cos(angle));
        shift = 0.5 * (last - vec2f(turn.x * last.x + turn.y * last.y, turn.z * last.x + turn.w * last.y));
    } else if params.kind == ZOOM {
        turn = vec4f(vertical, 0.0, 0.0, horizontal);
        shift = 0.5 * last * (vec2f(1.0) - vec2f(vertical, horizontal));
    } else {
        shift = -vec2f(vertical, horizontal) * (last + 1.0);
    }
    let at = n * MAP;
    maps[at] = turn.x;
    maps[at + 1u] = turn.y;
    maps[at + 2u] = shift.x;
    maps[at + 3u] = turn.z;
    maps[at + 4u] = turn.w;
    maps[at + 5u] = shift.y;
}
