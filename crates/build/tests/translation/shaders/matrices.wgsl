// Products, sums, scaling and transposes of matrices, and their columns.
struct Params { turn: mat2x2f, wide: mat4x4f, flat: mat3x2f }
@group(0) @binding(0) var<storage, read> f_a: array<mat3x3f>;
@group(0) @binding(1) var<storage, read> f_b: array<mat2x4f>;
@group(0) @binding(2) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read_write> f_out: array<f32>;
@group(0) @binding(4) var<storage, read_write> f_matrices: array<mat3x3f>;

fn sum3(m: mat3x3f) -> f32 {
    return dot(m[0], vec3f(1.0, 2.0, 3.0)) + dot(m[1], vec3f(4.0, 5.0, 6.0)) - dot(m[2], vec3f(7.0, 8.0, 9.0));
}

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
    let at = id.x;
    let a = f_a[at];
    let shared_by_lanes = f_a[group.x];
    f_out[at] = sum3(a * shared_by_lanes);
    f_out[at + 192u] = sum3(transpose(a) + a * 0.5 - shared_by_lanes);
    f_out[at + 384u] = sum3(2.0 * shared_by_lanes * shared_by_lanes);
    let v = a * vec3f(1.0, -2.0, f32(at));
    let w = vec3f(0.5, f32(at), 1.0) * a;
    f_out[at + 576u] = dot(v, w);
    let b = f_b[at];
    let t = transpose(b);
    let small = t * b;
    f_out[at + 768u] = small[0].x + small[0][1] * 2.0 + small[1].x * 3.0 - small[1].y;
    let longer = b * vec2f(1.0, 2.0);
    let shorter = vec4f(1.0, 2.0, 3.0, 4.0) * b;
    f_out[at + 960u] = longer.x + longer.w + shorter.x - shorter.y;
    let turned = params.turn * vec2f(f32(at), 1.0);
    let wide = params.wide * vec4f(turned, turned.yx);
    let flat = params.flat * vec3f(1.0, 2.0, f32(at));
    f_out[at + 1152u] = wide.x + wide.y * wide.z - wide.w + flat.x - flat.y + params.flat[2].y;
    var m = a;
    m[1] = vec3f(1.0);
    m[2].y = 5.0;
    m[0][at % 3u] = 9.0;
    m[at % 3u].z += 1.0;
    f_out[at + 1344u] = sum3(m) + m[at % 3u].x + m[at % 3u][(at + 1u) % 3u];
    f_matrices[at] = m * 2.0;
    f_matrices[at][1] = v;
    f_matrices[at][2].x = 3.0;
    f_out[at + 1728u] = determinant(a) + determinant(mat2x2f(v.xy, w.xy))
        + determinant(mat4x4f(vec4f(v, 1.0), vec4f(2.0, w), vec4f(v.zx, 3.0, 0.5), vec4f(1.0, v.y, w.zy)));
    f_out[at + 1536u] = determinant_of_2(mat2x2f(1.0, 2.0, f32(at), 4.0)) + determinant_of_2(mat2x2f(v.xy, w.xy));
}

fn determinant_of_2(m: mat2x2f) -> f32 {
    return m[0].x * m[1].y - m[1].x * m[0].y;
}
