// y[n] = (least, most, mean, standard deviation) of all values of image n: the mean and the deviation of a whole population.
// One workgroup per image: each invocation takes every 64th value, then all of them add what the 64 found, in order.

struct Params {
    images: u32,   // N
    elements: u32, // E
}

@group(0) @binding(0) var<storage, read> x: array<f32>;         // [N, E]
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>; // [N, 4]
@group(0) @binding(2) var<uniform> params: Params;

const WIDTH: u32 = 64u; // invocations per image

var<workgroup> found: array<vec3f, WIDTH>; // least, most and sum
var<workgroup> squares: array<f32, WIDTH>;

@compute @workgroup_size(WIDTH)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let n = min(group.y * groups.x + group.x, params.images - 1u);
    let first = n * params.elements;
    var part = vec3f(x[first], x[first], 0.0);
    for (var i = local; i < params.elements; i += WIDTH) {
        let value = x[first + i];
        part = vec3f(min(part.x, value), max(part.y, value), part.z + value);
    }
    found[local] = part;
    // Each invocation reads what the others found.
    workgroupBarrier();
    var all = found[0];
    for (var i = 1u; i < WIDTH; i++) {
        all = vec3f(min(all.x, found[i].x), max(all.y, found[i].y), all.z + found[i].z);
    }
    let mean = all.z / f32(params.elements);
    var square = 0.0;
    for (var i = local; i < params.elements; i += WIDTH) {
        square += (x[first + i] - mean) * (x[first + i] - mean);
    }
    squares[local] = square;
    // The first invocation reads what the others summed.
    workgroupBarrier();
    if local == 0u {
        var total = 0.0;
        for (var i = 0u; i < WIDTH; i++) {
            total += squares[i];
        }
        y[n] = vec4f(all.xy, mean, sqrt(total / f32(params.elements)));
    }
}
