// Operators of i32, which wrap; division by 0 and i32::MIN / -1 as specified by WGSL.
@group(0) @binding(0) var<storage, read> i_a: array<i32>;
@group(0) @binding(1) var<storage, read> i_b: array<i32>;
@group(0) @binding(2) var<storage, read_write> i_out: array<i32>;

fn operators(a: i32, b: i32, at: u32) {
    i_out[at] = a + b;
    i_out[at + 192u] = a - b;
    i_out[at + 384u] = a * b;
    i_out[at + 576u] = a / b;
    i_out[at + 768u] = a % b;
    i_out[at + 960u] = -a - -b * (a - (b - 2)) / (a / (b / 3));
    i_out[at + 1152u] = (a & b) | (a ^ ~b);
    i_out[at + 1344u] = (a << (u32(b) & 31u)) ^ (a >> (u32(b) & 31u));
    var bits = 0;
    if a == b { bits |= 1; }
    if a != b { bits |= 2; }
    if a < b { bits |= 4; }
    if a <= b { bits |= 8; }
    if a > b { bits |= 16; }
    if a >= b { bits |= 32; }
    i_out[at + 1536u] = bits;
    i_out[at + 1728u] = a / 4 + a % 7 + a / -3;
    i_out[at + 1920u] = abs(a) - sign(b) + min(a, b) - max(a, 3) + clamp(a, -5, 9);
    i_out[at + 2112u] = (a << 3u) + (a >> 2u) + (1 << (u32(b) & 31u));
}

@compute @workgroup_size(64)
fn lanes(@builtin(global_invocation_id) id: vec3u) {
    operators(i_a[id.x], i_b[id.x], id.x);
}

@compute @workgroup_size(64)
fn shared_by_lanes(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
    operators(i_a[group.x], i_b[group.x], id.x);
}
