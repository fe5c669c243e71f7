// Workgroups of every shape, including partial vectors; all built-in arguments.
@group(0) @binding(0) var<storage, read_write> u_out: array<u32>;

fn write(id: vec3u, local: vec3u, index: u32, group: vec3u, groups: vec3u) {
    let width = groups.x * 16u;
    let at = id.x + width * (id.y + 32u * id.z);
    if at < 4000u {
        u_out[at] = 1u + local.x + 16u * local.y + 256u * local.z + 4096u * index + 1048576u * group.y + 8388608u * groups.y;
        u_out[at + 4000u] = group.x + 10u * groups.x + 100u * group.z + 1000u * groups.z;
    }
}

@compute @workgroup_size(1)
fn s1(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_id) local: vec3u,
      @builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
    write(id, local, index, group, groups);
}

@compute @workgroup_size(3)
fn s3(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_id) local: vec3u,
      @builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
    write(id, local, index, group, groups);
}

@compute @workgroup_size(8, 8)
fn s8x8(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_id) local: vec3u,
        @builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
    write(id, local, index, group, groups);
}

@compute @workgroup_size(5, 3, 2)
fn s5x3x2(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_id) local: vec3u,
          @builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
    write(id, local, index, group, groups);
}

@compute @workgroup_size(16, 4)
fn s16x4(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_id) local: vec3u,
         @builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
    write(id, local, index, group, groups);
}

@compute @workgroup_size(39)
fn s39(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) index: u32) {
    u_out[id.x] = index;
}

@compute @workgroup_size(256)
fn s256(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) index: u32) {
    u_out[id.x] = index;
}
