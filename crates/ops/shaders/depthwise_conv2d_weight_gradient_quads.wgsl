// The weight gradient of a depthwise convolution for GPUs: one invocation computes one tap of four adjacent channels over
// one chunk of rows. Adjacent invocations have adjacent channels, then taps, which read the same rows.
#import depthwise_weight_gradient
#import linear
#import value_quads

#gpu_only
@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    let taps = window_height * window_width;
    if i < params.chunks * taps * channels {
        let place = i / channels;
        partial[i] = chunk_sum(place / taps, place % taps, i % channels);
    }
}
