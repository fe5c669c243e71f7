// y[n] = (minimum, maximum, mean, population standard deviation) of all values of image n.
// One workgroup per image: each invocation reads every 64th value, then all combine the 64 results in order.
#import long_sum
#import nan

struct Params {
    images: u32,   // N
    elements: u32, // E
}

@group(0) @binding(0) var<storage, read> x: array<f32>;         // [N, E]
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>; // [N, 4]
@group(0) @binding(2) var<uniform> params: Params;

const WIDTH: u32 = 64u; // invocations per image

var<workgroup> found: array<vec3f, WIDTH>; // minimum, maximum and sum
var<workgroup> magnitudes: array<i32, WIDTH>;
var<workgroup> squares: array<f32, WIDTH>;

@compute @workgroup_size(WIDTH)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let n = min(group.y * groups.x + group.x, params.images - 1u);
    let first = n * params.elements;
    var range = vec2f(x[first]);
    var largest = 0;
    var sums = vec4f();
    var i = local;
    for (var block = 0u; block * TERMS * WIDTH < params.elements; block++) {
        let end = min((block + 1u) * TERMS * WIDTH, params.elements);
        var part = 0.0;
        for (; i < end; i += WIDTH) {
            let value = x[first + i];
            range = vec2f(min(range.x, value), max(range.y, value));
            largest = max(largest, magnitude(value));
            part += value;
        }
        sums = add_block(sums, part, block);
    }
    found[local] = vec3f(range, sum_of_blocks(sums));
    magnitudes[local] = largest;
    // Each invocation reads the results of the others.
    workgroupBarrier();
    var all = found[0];
    largest = magnitudes[0];
    for (var other = 1u; other < WIDTH; other++) {
        let more = found[other];
        all = vec3f(min(all.x, more.x), max(all.y, more.y), all.z + more.z);
        largest = max(largest, magnitudes[other]);
    }
    let mean = all.z / f32(params.elements);
    sums = vec4f();
    i = local;
    for (var block = 0u; block * TERMS * WIDTH < params.elements; block++) {
        let end = min((block + 1u) * TERMS * WIDTH, params.elements);
        var part = 0.0;
        for (; i < end; i += WIDTH) {
            part += (x[first + i] - mean) * (x[first + i] - mean);
        }
        sums = add_block(sums, part, block);
    }
    squares[local] = sum_of_blocks(sums);
    // The first invocation reads the sums of the others.
    workgroupBarrier();
    if local == 0u {
        var total = 0.0;
        for (var other = 0u; other < WIDTH; other++) {
            total += squares[other];
        }
        let least = unless_any_nan(all.x, largest);
        let most = unless_any_nan(all.y, largest);
        y[n] = vec4f(least, most, mean, sqrt(total / f32(params.elements)));
    }
}
