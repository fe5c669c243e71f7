// Exponentials, logarithms, powers, angles and their inverses.
@group(0) @binding(0) var<storage, read> f_a: array<f32>;
@group(0) @binding(1) var<storage, read> f_b: array<f32>;
@group(0) @binding(2) var<storage, read_write> f_out: array<f32>;

fn numbers(a: f32, b: f32, at: u32) {
    let unit = clamp(a / 8.0, -0.9, 0.9);
    let positive = abs(b) + 0.25;
    f_out[at] = exp(a) + exp2(b);
    f_out[at + 192u] = log(positive) + 3.0 * log2(positive);
    f_out[at + 384u] = pow(positive, a);
    f_out[at + 576u] = sin(a) + 2.0 * cos(b);
    f_out[at + 768u] = tan(unit);
    f_out[at + 960u] = asin(unit) + 2.0 * acos(unit) + 4.0 * atan(a);
    f_out[at + 1152u] = atan2(a, b) + atan2(positive, a);
    f_out[at + 1344u] = sinh(unit) + cosh(unit) + tanh(a);
    f_out[at + 1536u] = asinh(a) + acosh(positive + 1.0) + atanh(unit);
    let v = exp(vec2f(a, unit)) + pow(vec2f(positive, 2.0), vec2f(unit, b)) + tanh(vec2f(a, b)) + sin(vec2f(b, a));
    f_out[at + 1728u] = v.x + v.y;
}

@compute @workgroup_size(64)
fn lanes(@builtin(global_invocation_id) id: vec3u) {
    numbers(f_a[id.x], f_b[id.x], id.x);
}

@compute @workgroup_size(64)
fn shared_by_lanes(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
    numbers(f_a[group.x + 11u], f_b[group.x + 5u], id.x);
}
