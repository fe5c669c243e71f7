// dkernel[r, s, c] = sum over n, oy, ox of x[n, oy*stride_y + r*dilation_y - pad_top, ox*stride_x + s*dilation_x - pad_left, c] * dy[n, oy, ox, c]
// One invocation computes every fourth tap of one channel over one chunk of rows, which stays in a processor's cache; the
// chunks' sums are added later.
#import channels
#import depthwise_weight_gradient
#import value

@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    // Lanes past the last channel read beyond it, as a plan allows, and store nothing.
    let c = group.x * LANES + local.x;
    let chunk = group.z * groups.y + group.y;
    if chunk < params.chunks {
        let taps = window_height * window_width;
        for (var tap = local.y; tap < taps; tap += PIXEL_GROUPS) {
            let sum = chunk_sum(chunk, tap, c);
            if c < channels {
                partial[(chunk * taps + tap) * channels + c] = sum;
            }
        }
    }
}
