// y[n, r, q, c] = scale * (cval in the cutout square, else v) + offset, where v is a value of x after two transforms:
// clamp(v + channel shift, minimum of image n, maximum of image n), then clamp(v * brightness, 0, 255).
// One invocation computes one element, lanes along a row of the image.
#import augment
#import nan

override height: u32;        // H
override elements: u32;      // W * C, of a row
override channels: u32;      // C
override shifts: bool;       // else the statistics are bound but not read
override brightens: bool;

const LANES: u32 = 16u;      // of a workgroup, along a row
const ROWS: u32 = 16u;

struct Params {
    rows: u32,   // N * H
    cutout: u32, // the side of the cutout square in pixels; 0 for none
    cval: f32,
    scale: f32,
    offset: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;           // [N, H, W, C]
@group(0) @binding(1) var<storage, read> draws: array<f32>;       // [N, DRAWS]
@group(0) @binding(2) var<storage, read> statistics: array<vec4f>; // [N, 4]: minimum, maximum, mean and deviation
@group(0) @binding(3) var<storage, read_write> y: array<f32>;     // [N, H, W, C]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(LANES, ROWS)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let row = (group.z * groups.y + group.y) * ROWS + local.y;
    let element = group.x * LANES + local.x;
    if row >= params.rows || element >= elements {
        return;
    }
    let image = row / height;
    let d = image * DRAWS;
    var value = x[row * elements + element];
    if shifts {
        let range = statistics[image];
        value = clamp_or_nan(value + draws[d + CHANNEL_SHIFT], range.x, range.y);
    }
    if brightens {
        value = clamp_or_nan(value * draws[d + BRIGHTNESS], 0.0, 255.0);
    }
    let below = f32(row % height) - draws[d + CUTOUT];
    let right = f32(element) - draws[d + CUTOUT + 1u] * f32(channels);
    let side = f32(params.cutout);
    let is_cut = below >= 0.0 && below < side && right >= 0.0 && right < side * f32(channels);
    let filled = unless_nan(select(value, params.cval, is_cut), value);
    y[row * elements + element] = params.scale * filled + params.offset;
}
