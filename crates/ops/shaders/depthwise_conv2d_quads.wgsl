// The depthwise convolution and its input gradient for GPUs: one invocation computes four adjacent channels of 7 pixels
// of a row. Adjacent invocations have adjacent channels.
#import depthwise_convolve
#import linear

alias Value = vec4f;

fn finished(at: u32, v: vec4f) -> vec4f {
    return vec4f(
        finish(4u * at, v.x),
        finish(4u * at + 1u, v.y),
        finish(4u * at + 2u, v.z),
        finish(4u * at + 3u, v.w),
    );
}

#gpu_only
@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count * channels {
        convolve(i / channels, i % channels);
    }
}
