// Conversions, which truncate and saturate, and bitcasts.
@group(0) @binding(0) var<storage, read> f_wide: array<f32>;
@group(0) @binding(1) var<storage, read> i_a: array<i32>;
@group(0) @binding(2) var<storage, read> u_a: array<u32>;
@group(0) @binding(3) var<storage, read_write> f_out: array<f32>;
@group(0) @binding(4) var<storage, read_write> i_out: array<i32>;
@group(0) @binding(5) var<storage, read_write> u_out: array<u32>;

fn convert(f: f32, i: i32, u: u32, at: u32) {
    i_out[at] = i32(f);
    i_out[at + 192u] = i32(u);
    i_out[at + 384u] = i32(f > 1.0);
    i_out[at + 576u] = bitcast<i32>(f);
    i_out[at + 768u] = bitcast<i32>(u);
    u_out[at] = u32(f);
    u_out[at + 192u] = u32(i);
    u_out[at + 384u] = u32(i > 1);
    u_out[at + 576u] = bitcast<u32>(f);
    u_out[at + 768u] = u32(bool(f)) + 2u * u32(bool(i)) + 4u * u32(bool(u));
    f_out[at] = f32(i);
    f_out[at + 192u] = f32(u);
    f_out[at + 384u] = f32(u > 7u);
    f_out[at + 576u] = bitcast<f32>(bitcast<u32>(f) ^ 0x80000000u);
    f_out[at + 768u] = f32(f32(u) < f32(i));
    let v = vec3f(vec3i(i, 7, -3)) + vec3f(vec3u(u, 5u, 6u));
    f_out[at + 960u] = v.x + v.y * v.z;
    let w = vec2u(vec2f(clamp(f, 0.0, 1000.0), 3.75)) + bitcast<vec2u>(vec2i(i, -1)) + vec2u(vec2<bool>(f > 0.0, true));
    u_out[at + 960u] = w.x ^ w.y;
}

@compute @workgroup_size(64)
fn lanes(@builtin(global_invocation_id) id: vec3u) {
    convert(f_wide[id.x], i_a[id.x], u_a[id.x], id.x);
}

@compute @workgroup_size(64)
fn shared_by_lanes(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
    convert(f_wide[group.x + 2u], i_a[group.x], u_a[group.x], id.x);
}
