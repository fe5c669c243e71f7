// select with scalar and vector conditions; && and || whose right side must not run.
@group(0) @binding(0) var<storage, read> f_a: array<f32>;
@group(0) @binding(1) var<storage, read> u_a: array<u32>;
@group(0) @binding(2) var<storage, read_write> f_out: array<f32>;
@group(0) @binding(3) var<storage, read_write> u_out: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
    let at = id.x;
    let length = arrayLength(&f_a);
    let far = at + 3000000000u * (u_a[at] % 2u);
    let shared_far = group.x + 3000000000u * (u_a[group.x] % 2u);
    f_out[at] = select(f_a[at], -1.0, f_a[at] > 1.0) + select(2.0, f_a[group.x], group.x == 1u);
    f_out[at + 192u] = select(0.0, f_a[group.x], u_a[group.x] % 2u == 0u);
    let v = select(vec3f(1.0, 2.0, 3.0), vec3f(f_a[at]), vec3<bool>(at > 5u, group.x > 0u, f_a[at] > 0.0));
    f_out[at + 384u] = v.x + 2.0 * v.y + 4.0 * v.z;
    let w = select(vec2u(at), vec2u(group.x, 7u), vec2<bool>(group.x > 0u, true));
    u_out[at] = w.x + 100u * w.y;
    var bits = 0u;
    if far < length && f_a[far] > 0.0 { bits |= 1u; }
    if far >= length || f_a[far] > 1.0 { bits |= 2u; }
    if shared_far < length && f_a[shared_far] > 0.0 { bits |= 4u; }
    if shared_far >= length || f_a[shared_far] > 1.0 { bits |= 8u; }
    if shared_far < length && far < length && f_a[far] > f_a[shared_far] { bits |= 16u; }
    if !(far >= length || (f_a[far] < 0.0 && at > 3u) || f_a[far / 2u] < -1.0) { bits |= 32u; }
    let a = at > 9u && group.x > 0u || at == 4u;
    let b = a || far < length && f_a[far] < 2.0;
    var c = a != b;
    c = c && at % 3u == 0u;
    bits |= select(0u, 64u, a) + select(0u, 128u, b) + select(0u, 256u, c);
    var k = at;
    while k < length && f_a[k] < 2.0 && k < at + 10u { k++; }
    for (var j = group.x; j < 5u && (j < 2u || f_a[j] > -100.0); j++) { bits += 1024u; }
    u_out[at + 192u] = bits;
    u_out[at + 384u] = k;
}
