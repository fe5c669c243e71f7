// y[n, c] = max over the pixels p of x[n, p, c]; dx[n, p, c] = dy[n, c] / (the number of x[n, :, c] equal to y[n, c]) where x is y, else 0.
// One invocation reads one channel of one image.
#import image_channels
#import nan

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
    var best = x[first * params.channels + c];
    var largest = 0;
    for (var pixel = first; pixel < first + params.pixels; pixel++) {
        let v = x[pixel * params.channels + c];
        best = max(best, v);
        largest = max(largest, magnitude(v));
    }
    y[image * params.channels + c] = unless_any_nan(best, largest);
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
    var largest = magnitude(best);
    var ties = 1.0;
    for (var pixel = first + 1u; pixel < end; pixel++) {
        let v = x[pixel * params.channels + c];
        ties = select(ties + select(0.0, 1.0, v == best), 1.0, v > best);
        best = max(best, v);
        largest = max(largest, magnitude(v));
    }
    let share = dy[image * params.channels + c] / ties;
    for (var pixel = first; pixel < end; pixel++) {
        let i = pixel * params.channels + c;
        dx[i] = unless_any_nan(select(0.0, share, x[i] == best), largest);
    }
}
