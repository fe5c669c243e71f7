// The linear index of an invocation, with workgroups of 256 along x, wrapping to y beyond 65,535.
fn linear_index(group: vec3u, groups: vec3u, local: u32) -> u32 {
    return (group.y * groups.x + group.x) * 256u + local;
}
