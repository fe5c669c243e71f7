// Operators of u32, which wrap; division by 0 as specified by WGSL.
@group(0) @binding(0) var<storage, read> u_a: array<u32>;
@group(0) @binding(1) var<storage, read> u_b: array<u32>;
@group(0) @binding(2) var<storage, read_write> u_out: array<u32>;

fn operators(a: u32, b: u32, at: u32) {
    u_out[at] = a + b;
    u_out[at + 192u] = a - b;
    u_out[at + 384u] = a * b;
    u_out[at + 576u] = a / b;
    u_out[at + 768u] = a % b;
    u_out[at + 960u] = (a - (b - 2u)) / (a / (b / 3u));
    u_out[at + 1152u] = (a & b) | (a ^ ~b);
    u_out[at + 1344u] = (a << (b & 31u)) ^ (a >> (b & 31u));
    var bits = 0u;
    if a == b { bits |= 1u; }
    if a != b { bits |= 2u; }
    if a < b { bits |= 4u; }
    if a <= b { bits |= 8u; }
    if a > b { bits |= 16u; }
    if a >= b { bits |= 32u; }
    u_out[at + 1536u] = bits;
    u_out[at + 1728u] = a / 4u + a % 7u + (a - b / 3u) % (b | 1u);
    u_out[at + 1920u] = min(a, b) - max(a, 3u) + clamp(a, 5u, 900u);
}

@compute @workgroup_size(64)
fn lanes(@builtin(global_invocation_id) id: vec3u) {
    operators(u_a[id.x], u_b[id.x], id.x);
}

@compute @workgroup_size(64)
fn shared_by_lanes(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
    operators(u_a[group.x], u_b[group.x], id.x);
}
