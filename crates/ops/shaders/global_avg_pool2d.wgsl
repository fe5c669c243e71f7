// y[n, c] = sum over the pixels p of x[n, p, c] / P; dx[n, p, c] = dy[n, c] / P.
// One invocation adds, or fills, one channel of one image, in order.
#import image_channels
#import long_sum

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [N, P, C]
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // [N, C]
@group(0) @binding(2) var<storage, read> dy: array<f32>;       // [N, C]
@group(0) @binding(3) var<storage, read_write> dx: array<f32>; // [N, P, C]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(LANES, IMAGES)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let c = group.x * LANES + local.x;
    let image = image_of(group, groups, local);
    if c >= params.channels || image >= params.images {
        return;
    }
    var sums = vec4f();
    var pixel = image * params.pixels;
    let end = pixel + params.pixels;
    for (var block = 0u; pixel < end; block++) {
        let stop = min(pixel + TERMS, end);
        var part = 0.0;
        for (; pixel < stop; pixel++) {
            part += x[pixel * params.channels + c];
        }
        sums = add_block(sums, part, block);
    }
    y[image * params.channels + c] = sum_of_blocks(sums) / f32(params.pixels);
}

@compute @workgroup_size(LANES, IMAGES)
fn gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let c = group.x * LANES + local.x;
    let image = image_of(group, groups, local);
    if c >= params.channels || image >= params.images {
        return;
    }
    let share = dy[image * params.channels + c] / f32(params.pixels);
    let first = image * params.pixels;
    for (var pixel = first; pixel < first + params.pixels; pixel++) {
        dx[pixel * params.channels + c] = share;
    }
}
