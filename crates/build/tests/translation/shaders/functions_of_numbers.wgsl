// The built-in functions of arithmetic.
@group(0) @binding(0) var<storage, read> f_a: array<f32>;
@group(0) @binding(1) var<storage, read> f_b: array<f32>;
@group(0) @binding(2) var<storage, read_write> f_out: array<f32>;

fn numbers(a: f32, b: f32, at: u32) {
    f_out[at] = abs(a) + min(a, b) * max(a, 1.5) - clamp(a, -1.0, 2.0);
    f_out[at + 192u] = ceil(a) + 2.0 * floor(a) + 4.0 * round(a) + 8.0 * trunc(a) + fract(a);
    f_out[at + 384u] = sign(a) + saturate(b) + step(a, b) + 3.0 * step(0.0, a);
    f_out[at + 576u] = fma(a, b, 1.0) + mix(a, b, 0.25) + degrees(a) - radians(b);
    f_out[at + 768u] = smoothstep(-1.0, 3.0, a) + smoothstep(0.0, 5.0, b);
    f_out[at + 960u] = sqrt(abs(a)) + inverseSqrt(abs(b) + 0.5);
    let v = vec3f(a, b, 2.0);
    let w = vec3f(b, 1.0, a);
    let c = cross(v, w);
    f_out[at + 1152u] = c.x + 2.0 * c.y + 3.0 * c.z + dot(v, w);
    f_out[at + 1344u] = length(v) + distance(v, w) + length(a) + distance(a, b);
    f_out[at + 1536u] = dot(normalize(v), vec3f(1.0, 2.0, 3.0)) + normalize(vec2f(a, 1.0)).y;
    let m = mix(v, w, 0.75) + mix(v, w, vec3f(0.1, 0.2, 0.3)) + mix(v, w, b);
    f_out[at + 1728u] = m.x - m.y * m.z;
    let r = round(v) + floor(w) + fract(v) + sign(w) + step(v, w) + fma(v, w, v) + clamp(v, w, vec3f(9.0));
    f_out[at + 1920u] = r.x + r.y - r.z;
    f_out[at + 2112u] = abs(v).x + max(v, w).y + min(v, w).z + saturate(w).x + smoothstep(vec3f(-3.0), vec3f(4.0), v).y;
}

@compute @workgroup_size(64)
fn lanes(@builtin(global_invocation_id) id: vec3u) {
    numbers(f_a[id.x], f_b[id.x], id.x);
}

@compute @workgroup_size(64)
fn shared_by_lanes(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
    numbers(f_a[group.x + 11u], f_b[group.x + 5u], id.x);
}
