// Arrays in functions: nested, of vectors, at varying and uniform indices; arrayLength.
struct Tail { head: vec4u, rest: array<vec2u> }
const TABLE = array<f32, 5>(1.0, 2.5, -3.0, 4.0, 8.0);
const GRID = array<vec2i, 3>(vec2i(1, 2), vec2i(3, 4), vec2i(5, 6));
@group(0) @binding(0) var<storage, read> u_a: array<u32>;
@group(0) @binding(1) var<storage, read> f_fixed: array<array<f32, 4>, 8>;
@group(0) @binding(2) var<storage, read_write> f_out: array<f32>;
@group(0) @binding(3) var<storage, read_write> u_tail: Tail;
@group(0) @binding(4) var<storage, read_write> u_out: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
    let at = id.x;
    let k = u_a[at] % 5u;
    let n = u_a[group.x] % 5u;
    var a = array<f32, 5>(1.0, 2.0, 3.0, 4.0, 5.0);
    a[n] = 10.0;
    a[k] += 20.0;
    a[0] -= 1.0;
    f_out[at] = a[k] + a[n] * a[1] + a[4];
    f_out[at + 192u] = TABLE[k] * 2.0 + TABLE[n] + TABLE[3];
    f_out[at + 384u] = f32(GRID[k % 3u].y + GRID[n % 3u].x);
    var nested: array<array<i32, 3>, 2>;
    for (var i = 0u; i < 2u; i++) {
        for (var j = 0u; j < 3u; j++) {
            nested[i][j] = i32(i * 10u + j);
        }
    }
    nested[k % 2u][n % 3u] = -7;
    nested[n % 2u][k % 3u] += 100;
    nested[k % 2u][k % 3u] -= 1000;
    let row = nested[k % 2u];
    f_out[at + 576u] = f32(nested[0][0] + 2 * nested[0][1] + 3 * nested[0][2] + 4 * nested[1][0] + 5 * row[k % 3u]);
    var vectors = array<vec3f, 4>(vec3f(1.0), vec3f(2.0), vec3f(3.0), vec3f(4.0));
    vectors[k % 4u].y = 9.0;
    vectors[n % 4u].z = 8.0;
    vectors[k % 4u][n % 3u] = 6.0;
    vectors[n % 4u][k % 3u] += 5.0;
    if k > 1u {
        vectors[1].x = 3.5;
        vectors[n % 4u] = vec3f(0.5, 0.25, 0.125);
        vectors[k % 4u].x *= 2.0;
    }
    f_out[at + 768u] = vectors[k % 4u].x + vectors[n % 4u].y + dot(vectors[1], vectors[2]) + vectors[3][k % 3u];
    var flags: array<bool, 3>;
    flags[k % 3u] = true;
    flags[n % 3u] = !flags[n % 3u];
    u_out[at] = u32(flags[0]) + 2u * u32(flags[1]) + 4u * u32(flags[2]);
    f_out[at + 960u] = f_fixed[k][n % 4u] + f_fixed[n][k % 4u] + f_fixed[at % 8u][at % 4u];
    u_out[at + 192u] = arrayLength(&u_tail.rest) + arrayLength(&u_out) * 3u + arrayLength(&f_out);
    u_tail.rest[at] = vec2u(k, u_tail.head.y);
    if at == 0u {
        u_tail.head.x = n;
    }
    var copy = a;
    copy[2] = 0.0;
    let by_value = a;
    f_out[at + 1152u] = copy[k] + by_value[2] + by_value[k];
}
