// Overrides of every type, with and without defaults; constants.
override size: u32 = 7u;
override shift: i32 = -3;
override scale: f32 = -0.75;
override inferred = 2.5;
override flag: bool = true;
override other_flag: bool = false;
override needed: u32;
const COUNT: u32 = 6u;
const NEGATIVE: i32 = -2147483648;
const SMALL: f32 = 1e-7;
const LARGE = 3.0e38f;
const WEIGHTS = vec3f(0.25, 0.5, 1.0);
const OFFSETS = array<i32, 4>(-1, 0, 1, 2);
const TURN = mat2x2f(0.0, 1.0, -1.0, 0.0);
const PAIRS = array<vec2f, 2>(vec2f(1.0, 2.0), vec2f(3.0, 4.0));
struct Both { a: f32, b: vec2u }
const BOTH = Both(2.0, vec2u(3u, 4u));
@group(0) @binding(0) var<storage, read> f_a: array<f32>;
@group(0) @binding(1) var<storage, read_write> f_out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let x = f_a[id.x];
    f_out[id.x] = x * scale + f32(size) + f32(shift) + inferred + f32(needed);
    if flag && !other_flag { f_out[id.x + 192u] = x + 1.0; }
    if other_flag { f_out[id.x + 384u] = x + 2.0; }
    for (var i = 0u; i < size; i++) { f_out[id.x + 576u] += f32(i * COUNT); }
    f_out[id.x + 768u] = x * SMALL + dot(WEIGHTS, vec3f(x)) + WEIGHTS[id.x % 3u] + min(x, LARGE) + f32(NEGATIVE);
    f_out[id.x + 960u] = f32(OFFSETS[id.x % 4u]) + f32(OFFSETS[2]) + (TURN * vec2f(x, 1.0)).x + PAIRS[id.x % 2u].y;
    f_out[id.x + 1152u] = BOTH.a + f32(BOTH.b.y) + f32(select(shift, 9, flag)) + select(scale, 1.0, x > 0.0);
}
