// Reads and writes of components at dynamic indices, uniform and varying.
@group(0) @binding(0) var<storage, read> f_a: array<vec4f>;
@group(0) @binding(1) var<storage, read> u_a: array<u32>;
@group(0) @binding(2) var<storage, read_write> f_out: array<f32>;
@group(0) @binding(3) var<storage, read_write> f_vectors: array<vec3f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
    let n = u_a[group.x] % 3u;
    let k = u_a[id.x] % 3u;
    let i = i32(k);
    let v = f_a[id.x];
    let shared_by_lanes = f_a[group.x];
    f_out[id.x] = v[n] + shared_by_lanes[n];
    f_out[id.x + 192u] = v[k] * shared_by_lanes[k] + shared_by_lanes[i];
    f_out[id.x + 384u] = f_a[id.x][n] + f_a[group.x][k] + f_a[k][k];
    var w = v.xyz;
    w[n] = 7.0;
    w[k] += 2.0;
    f_out[id.x + 576u] = w.x + 2.0 * w.y + 4.0 * w.z;
    var x = shared_by_lanes.xyz;
    x[n] = 3.0;
    f_out[id.x + 768u] = x.x - x.y * x.z;
    if k == 1u {
        x[n] = f_a[id.x].x;
        w[n] = 5.0;
        w[k] = 1.0;
    }
    f_out[id.x + 960u] = x.x + 2.0 * x.y + 4.0 * x.z + dot(w, w);
    var y = vec2f(1.0, 2.0);
    y.x = 4.0;
    if id.x % 2u == 1u {
        y[n] = 9.0;
        f_out[id.x + 1152u] = y.x - y.y;
    }
    f_vectors[id.x] = vec3f(1.0, 2.0, 3.0);
    f_vectors[id.x][k] = 8.0;
    f_vectors[id.x].y = v.w;
    f_vectors[id.x + 200u][n] = v.z;
    f_out[id.x + 1344u] = f_vectors[id.x][k] + f_vectors[id.x].z;
}
