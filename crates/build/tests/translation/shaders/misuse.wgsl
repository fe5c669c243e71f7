// Incorrect kernels: a missing barrier, an out-of-bounds access.
@group(0) @binding(0) var<storage, read> f_a: array<f32>;
@group(0) @binding(1) var<storage, read_write> f_out: array<f32>;
var<workgroup> row: array<f32, 64>;

// Each invocation reads its neighbour's value, which may not be written yet.
@compute @workgroup_size(64)
fn no_barrier(@builtin(local_invocation_id) local: vec3u) {
    row[local.x] = f_a[local.x] + 10.0;
    f_out[local.x] = row[(local.x + 32u) % 64u];
}

// The correct version.
@compute @workgroup_size(64)
fn barrier(@builtin(local_invocation_id) local: vec3u) {
    row[local.x] = f_a[local.x] + 10.0;
    workgroupBarrier();
    f_out[local.x] = row[(local.x + 32u) % 64u];
}

// Writes elements that another workgroup also writes.
@compute @workgroup_size(1)
fn all_workgroups_write_one_element(@builtin(workgroup_id) group: vec3u) {
    f_out[0] = f32(group.x);
}

@compute @workgroup_size(64)
fn read_outside(@builtin(global_invocation_id) id: vec3u) {
    f_out[id.x] = f_a[id.x * 1000u];
}

@compute @workgroup_size(64)
fn write_outside(@builtin(global_invocation_id) id: vec3u) {
    f_out[id.x + 16319u] = 1.0;
}

@compute @workgroup_size(64)
fn workgroup_memory_outside(@builtin(local_invocation_id) local: vec3u) {
    row[local.x] = f_a[local.x];
    f_out[local.x] = row[local.x + u32(f_a[local.x] > -100.0) * 60u];
}

// The sum wraps around to a valid index, which a GPU accepts.
@compute @workgroup_size(16)
fn address_wraps_around(@builtin(local_invocation_id) local: vec3u, @builtin(num_workgroups) groups: vec3u) {
    f_out[local.x] = f_a[groups.x + 0xffffffffu];
}
