// draws[n] = the transform A C F of image n, A = R(rotation) T(shift) Sh(shear) Z(zoom) about its centre, and its other draws.
// One invocation draws for one image. The place of a pixel of the result goes through flip F, crop C, then A, to its source.
#import augment
#import linear
#import random
#import step

const STREAM: u32 = 0xffffff00u; // and the two behind it; layers count theirs from 0

struct Params {
    choices: array<vec4f, 8>, // pixels: 16 vertical and 16 horizontal shifts, of which some are in use
    counts: vec2u,            // how many choices are in use; 0: the shift is uniform
    whole: vec2u,             // 1: the choices are 0, 1, 2, ... pixels instead
    shift: vec2f,             // pixels: the most that a uniform shift has, vertical and horizontal
    zoom: vec2f,              // the least and the most
    brightness: vec2f,        // the least and the most
    size: vec2u,              // H and W, pixels
    flip: vec2u,              // 1: half of the images are flipped, vertically and horizontally
    images: u32,              // N
    rotation: f32,            // the most, radians
    shear: f32,               // the most, radians
    channel_shift: f32,       // the most
    crop: u32,                // the most pixels by which the crop moves
    cutout: u32,              // the side of the square, pixels
}

@group(0) @binding(0) var<storage, read_write> draws: array<f32>; // [N, DRAWS]
@group(0) @binding(1) var<uniform> params: Params;

fn between(low: f32, high: f32, word: u32) -> f32 {
    return low + (high - low) * uniform_of(word);
}

// An integer below `count`, made of 16 random bits.
fn below(count: u32, bits: u32) -> u32 {
    return ((bits & 0xffffu) * count) >> 16u;
}

// Pixels along an axis: 0 is the vertical one.
fn shift_along(axis: u32, word: u32) -> f32 {
    let count = params.counts[axis];
    if count == 0u {
        return between(-params.shift[axis], params.shift[axis], word);
    }
    let choice = below(count, word >> 16u);
    var pixels = f32(choice);
    if params.whole[axis] == 0u {
        pixels = params.choices[4u * axis + choice / 4u % 4u][choice % 4u];
    }
    return select(pixels, -pixels, (word & 1u) == 1u);
}

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
    let place = step.place + n; // in the whole batch
    let a = random4(place, STREAM, step.key);
    let b = random4(place, STREAM + 1u, step.key);
    let d = random4(place, STREAM + 2u, step.key);

    // Places are (x, y) here, as in Keras: a is the linear part of A, by columns.
    let rotation = between(-params.rotation, params.rotation, a.x);
    let shear = between(-params.shear, params.shear, a.y);
    let zoom = vec2f(between(params.zoom.x, params.zoom.y, a.z), between(params.zoom.x, params.zoom.y, a.w));
    let shift = vec2f(shift_along(1u, b.y), shift_along(0u, b.x));
    var turn = mat2x2f(1.0, 0.0, 0.0, 1.0);
    if params.rotation != 0.0 {
        turn = mat2x2f(cos(rotation), sin(rotation), -sin(rotation), cos(rotation));
    }
    var slant = vec2f(0.0, 1.0);
    if params.shear != 0.0 {
        slant = vec2f(-sin(shear), cos(shear));
    }
    var along_x = turn * vec2f(zoom.x, 0.0);
    var along_y = turn * (slant * zoom.y);
    let last = vec2f(f32(params.size.y), f32(params.size.x)) - 1.0;
    let centre = 0.5 * last;
    var start = turn * shift + (centre - (along_x * centre.x + along_y * centre.y));

    let cropped = vec2f(vec2u(below(2u * params.crop + 1u, d.y >> 16u), below(2u * params.crop + 1u, d.y)));
    let moved = cropped - f32(params.crop);
    start += along_x * moved.x + along_y * moved.y;
    if params.flip.y == 1u && (b.z & 1u) == 1u {
        start += along_x * last.x;
        along_x = -along_x;
    }
    if params.flip.x == 1u && (b.z & 2u) == 2u {
        start += along_y * last.y;
        along_y = -along_y;
    }

    let at = n * DRAWS;
    draws[at] = along_y.y;
    draws[at + 1u] = along_x.y;
    draws[at + 2u] = start.y;
    draws[at + 3u] = along_y.x;
    draws[at + 4u] = along_x.x;
    draws[at + 5u] = start.x;
    draws[at + CHANNEL_SHIFT] = between(-params.channel_shift, params.channel_shift, b.w);
    draws[at + BRIGHTNESS] = between(params.brightness.x, params.brightness.y, d.x);
    draws[at + CUTOUT] = f32(below(params.size.x, d.z)) - f32(params.cutout / 2u);
    draws[at + CUTOUT + 1u] = f32(below(params.size.y, d.w)) - f32(params.cutout / 2u);
}
