// y[n, oy, ox, c] = bias[c] + sum over r, s of x[n, oy*stride_y + r*dilation_y - pad_top, ox*stride_x + s*dilation_x - pad_left, c] * kernel[r, s, c]
// One invocation computes one channel of 7 pixels of a row. The same kernel computes the input gradient.
#import channels
#import depthwise_convolve

#quads
@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    // Lanes past the last channel read beyond it, as a plan allows, and store nothing.
    let tile = row_group_of(group, groups, local, channels);
    if tile < params.count {
        convolve(tile, column_of(group, groups, local, channels));
    }
}
