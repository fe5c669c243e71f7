// Operators and comparisons of f32, varying and uniform.
@group(0) @binding(0) var<storage, read> f_a: array<f32>;
@group(0) @binding(1) var<storage, read> f_b: array<f32>;
@group(0) @binding(2) var<storage, read_write> f_out: array<f32>;
@group(0) @binding(3) var<storage, read_write> u_out: array<u32>;

fn operators(a: f32, b: f32, at: u32) {
    f_out[at] = a + b;
    f_out[at + 192u] = a - b;
    f_out[at + 384u] = a * b;
    f_out[at + 576u] = a / b;
    f_out[at + 768u] = a % b;
    f_out[at + 960u] = -a - -b * (a - (b - 2.0)) / (a / (b / 3.0));
    var bits = 0u;
    if a == b { bits |= 1u; }
    if a != b { bits |= 2u; }
    if a < b { bits |= 4u; }
    if a <= b { bits |= 8u; }
    if a > b { bits |= 16u; }
    if a >= b { bits |= 32u; }
    if !(a < b) || a < 0.0 && b > 0.0 { bits |= 64u; }
    if (a < b) == (b < 1.0) { bits |= 128u; }
    if (a < b) != (b < 1.0) { bits |= 256u; }
    if (a < b) & (b < 1.0) | (a > 2.0) { bits |= 512u; }
    u_out[at] = bits;
}

@compute @workgroup_size(64)
fn lanes(@builtin(global_invocation_id) id: vec3u) {
    operators(f_a[id.x], f_b[id.x], id.x);
}

@compute @workgroup_size(64)
fn shared_by_lanes(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
    operators(f_a[group.x + 7u], f_b[group.x + 3u], id.x);
}
