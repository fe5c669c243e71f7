// y[n, c] = max over the pixels p of x[n, p, c]; dx[n, p, c] = dy[n, c] at the first maximum in scan order, else 0.
// One invocation walks over one channel of one image.
#import image_channels

const LOWEST: f32 = -3.4028234e38;

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
    let first = image * params.pixels;
    var best = LOWEST;
    for (var pixel = first; pixel < first + params.pixels; pixel++) {
        best = max(best, x[pixel * params.channels + c]);
    }
    y[image * params.channels + c] = best;
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
    let first = image * params.pixels;
    let end = first + params.pixels;
    var best = x[first * params.channels + c];
    var best_pixel = first;
    for (var pixel = first + 1u; pixel < end; pixel++) {
        let v = x[pixel * params.channels + c];
        best_pixel = select(best_pixel, pixel, v > best);
        best = max(best, v);
    }
    let arriving = dy[image * params.channels + c];
    for (var pixel = first; pixel < end; pixel++) {
        dx[pixel * params.channels + c] = select(0.0, arriving, pixel == best_pixel);
    }
}
