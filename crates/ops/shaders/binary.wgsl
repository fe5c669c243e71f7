// z = f(x, y) with axes of x or y repeated: a tensor has a stride along each axis, 0 where it is repeated.
// dx = the sum of dz df/dx over the axes along which x is repeated.
// One invocation computes one column of 8 rows, in `gradient` one element of one chunk of the sum. Rows are the places along
// all axes but the last, whose elements are columns, in blocks if there are many.
#import channels
#import nan

const LINEAR: u32 = 0u;   // a x + b y
const MULTIPLY: u32 = 1u; // x y
const MAXIMUM: u32 = 2u;
const MINIMUM: u32 = 3u;
const PRELU: u32 = 4u;    // x for x > 0, else x y
const COPY: u32 = 5u;     // x

const TERMS: u32 = 16u; // of a short sum

override function: u32;
override first: bool; // whether `gradient` is that of the first argument of f

struct Params {
    extents: vec4u,   // of all axes but the last
    x_strides: vec4u, // along them, in elements
    y_strides: vec4u,
    z_strides: vec4u, // of dz in `gradient`
    x_step: u32,      // strides along the last axis
    y_step: u32,
    z_step: u32,
    last: u32,        // the extent of the last axis
    width: u32,       // columns of a block
    blocks: u32,      // that cover the last axis
    rows: u32,        // product of the extents, times the blocks
    chunk: u32,       // terms of a chunk of the sum
    terms: u32,       // of the sum
    inner: u32,       // the extent of the inner of the two axes of the sum
    y_sum: vec2u,     // strides along the axes of the sum, the inner one last
    z_sum: vec2u,
    a: f32,
    b: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // read by x_strides
@group(0) @binding(1) var<storage, read> y: array<f32>;        // read by y_strides
@group(0) @binding(2) var<storage, read_write> z: array<f32>;  // [rows, last]
@group(0) @binding(3) var<storage, read> dz: array<f32>;       // read by z_strides
@group(0) @binding(4) var<storage, read_write> dx: array<f32>; // [chunks, rows, last]
@group(0) @binding(5) var<uniform> params: Params;

// The place along all axes but the last, of this number.
fn place_of(number: u32) -> vec4u {
    let e = params.extents;
    let rest = number / e.w;
    return vec4u(rest / e.z / e.y, rest / e.z % e.y, rest % e.z, number % e.w);
}

// The next place.
fn after(place: vec4u) -> vec4u {
    var p = vec4u(place.xyz, place.w + 1u);
    if p.w == params.extents.w {
        p = vec4u(p.xy, p.z + 1u, 0u);
        if p.z == params.extents.z {
            p = vec4u(p.x, p.y + 1u, 0u, 0u);
            if p.y == params.extents.y {
                p = vec4u(p.x + 1u, 0u, 0u, 0u);
            }
        }
    }
    return p;
}

// Where a place begins in a tensor with these strides.
fn offset(place: vec4u, strides: vec4u) -> u32 {
    let at = place * strides;
    return at.x + at.y + at.z + at.w;
}

fn value(u: f32, v: f32) -> f32 {
    switch function {
        case LINEAR: { return params.a * u + params.b * v; }
        case MULTIPLY: { return u * v; }
        case MAXIMUM: { return max_or_nan(u, v); }
        case MINIMUM: { return -max_or_nan(-u, -v); }
        case PRELU: { return unless_nan(select(u, u * v, u < 0.0), u); }
        default: { return u; }
    }
}

// d times the slope of f along u, where v is the other argument. Equal arguments of a maximum pass d to the first.
fn passed(d: f32, u: f32, v: f32) -> f32 {
    switch function {
        case LINEAR: { return d * select(params.b, params.a, first); }
        case MULTIPLY: { return d * v; }
        case MAXIMUM: {
            let chosen = u > v || (first && u == v);
            return unless_any_nan(select(0.0, d, chosen), max(magnitude(d), max(magnitude(u), magnitude(v))));
        }
        case MINIMUM: {
            let chosen = u < v || (first && u == v);
            return unless_any_nan(select(0.0, d, chosen), max(magnitude(d), max(magnitude(u), magnitude(v))));
        }
        case PRELU: {
            if first {
                return unless_nan(select(select(0.0, d * v, u < 0.0), d, u > 0.0), u);
            }
            return unless_any_nan(select(0.0, d * v, v < 0.0), max(magnitude(d), magnitude(v)));
        }
        default: { return d; }
    }
}

@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let column = column_of(group, groups, local, params.width);
    let begin = first_pixel(group, groups, local, params.width);
    let end = min(begin + INVOCATION_PIXELS, params.rows);
    if column >= params.width {
        return;
    }
    var number = begin / params.blocks;
    var block = begin % params.blocks;
    var place = place_of(number);
    for (var row = begin; row < end; row++) {
        let c = block * params.width + column;
        let x_at = offset(place, params.x_strides);
        let y_at = offset(place, params.y_strides);
        if c < params.last {
            // Steps of 1 are loads of adjacent values.
            var u: f32;
            if params.x_step == 1u {
                u = x[x_at + c];
            } else {
                u = x[x_at + c * params.x_step];
            }
            var v: f32;
            if params.y_step == 1u {
                v = y[y_at + c];
            } else {
                v = y[y_at + c * params.y_step];
            }
            z[number * params.last + c] = value(u, v);
        }
        block++;
        if block == params.blocks {
            block = 0u;
            number++;
            place = after(place);
        }
    }
}

@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let column = column_of(group, groups, local, params.width);
    let row = row_group_of(group, groups, local, params.width);
    let chunk = row / params.rows;
    let number = row % params.rows / params.blocks;
    let c = row % params.rows % params.blocks * params.width + column;
    if chunk * params.chunk >= params.terms || column >= params.width || c >= params.last {
        return;
    }
    let place = place_of(number);
    let x_at = offset(place, params.x_strides);
    let y_at = offset(place, params.y_strides);
    let z_at = offset(place, params.z_strides);
    let u = x[x_at + c * params.x_step];
    let end = min((chunk + 1u) * params.chunk, params.terms);
    var along = vec2u(chunk * params.chunk / params.inner, chunk * params.chunk % params.inner);
    var total = 0.0;
    for (var begin = chunk * params.chunk; begin < end; begin += TERMS) {
        let stop = min(begin + TERMS, end);
        var part = 0.0;
        for (var term = begin; term < stop; term++) {
            let y_term = y_at + along.x * params.y_sum.x + along.y * params.y_sum.y;
            let z_term = z_at + along.x * params.z_sum.x + along.y * params.z_sum.y;
            var v: f32;
            if params.y_step == 1u {
                v = y[y_term + c];
            } else {
                v = y[y_term + c * params.y_step];
            }
            if params.z_step == 1u {
                part += passed(dz[z_term + c], u, v);
            } else {
                part += passed(dz[z_term + c * params.z_step], u, v);
            }
            along.y++;
            if along.y == params.inner {
                along = vec2u(along.x + 1u, 0u);
            }
        }
        total += part;
    }
    dx[(chunk * (params.rows / params.blocks) + number) * params.last + c] = total;
}
