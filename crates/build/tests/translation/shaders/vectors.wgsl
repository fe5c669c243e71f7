// Arithmetic, comparisons and swizzles of vectors.
@group(0) @binding(0) var<storage, read> f_a: array<vec4f>;
@group(0) @binding(1) var<storage, read> i_a: array<vec4i>;
@group(0) @binding(2) var<storage, read> u_a: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> f_out: array<f32>;
@group(0) @binding(4) var<storage, read_write> i_out: array<i32>;
@group(0) @binding(5) var<storage, read_write> u_out: array<u32>;

fn floats(a: vec4f, b: vec4f, at: u32) {
    let sum = a + b * 2.0 - a.wzyx / (b + 100.0) + 0.5 * a - -b;
    let rest = (a % vec4f(3.0)).xyz + 1.0;
    f_out[at] = sum.x + sum.y * sum.z - sum.w;
    f_out[at + 192u] = rest.x * rest.y + rest.z;
    var v = a.xyz;
    v.y = b.w;
    v += vec3f(1.0, 2.0, 3.0);
    v *= 2.0;
    v = vec3f(v.zx, sum.w);
    f_out[at + 384u] = v.x + v.y * 3.0 - v.z * 5.0;
    f_out[at + 576u] = dot(vec4f(a.xy, v.xy), vec4f(vec3f(b.zzz), 1.0));
    let less = a < b;
    let picked = select(a, b, less);
    f_out[at + 768u] = picked.x + 2.0 * picked.y + 3.0 * picked.z + f32(all(less)) + f32(any(less.yz));
    let whole = select(a.xy, b.zw, a.x > b.x);
    f_out[at + 960u] = whole.x - whole.y;
    let turned = reflect(a.xyz, b.yzw);
    f_out[at + 1344u] = turned.x - turned.y + turned.z + ldexp(a.x, 3) - ldexp(b.xy, vec2i(-2, 1)).y;
    if vec2f(a.x, b.y).y > 1.0 {
        f_out[at + 1152u] = vec2f(a.x, 3.0).x;
    }
}

fn integers(a: vec4i, b: vec4i, u: vec4u, w: vec4u, at: u32) {
    let mixed = (a + b) * (a - 3) / (b | vec4i(1)) % (b ^ a) & ~(a | b);
    i_out[at] = mixed.x + mixed.y - mixed.z * mixed.w;
    let negated = -a;
    i_out[at + 192u] = negated.x ^ negated.y ^ negated.z ^ negated.w;
    let shifted = (a << (u & vec4u(31u))) + (a >> (w & vec4u(31u)));
    i_out[at + 384u] = shifted.x ^ shifted.y ^ shifted.z ^ shifted.w;
    let both = (a > b) | (a == b.yxwz);
    let other = (a <= b) & !both;
    i_out[at + 576u] = select(1, 2, all(both)) + select(4, 8, any(both)) + select(16, 32, any(other)) + i32(both.z);
    let product = u * w + u / w - u % w;
    u_out[at] = product.x ^ product.y ^ product.z ^ product.w;
    let moved = (u << (w & vec4u(31u))) ^ (u >> vec4u(3u, 5u, 7u, 9u)) ^ max(u, w) ^ min(u, w.wzyx);
    u_out[at + 192u] = moved.x ^ moved.y ^ moved.z ^ moved.w;
    u_out[at + 384u] = dot(u, w) + dot(u.xyz, w.zyx);
    i_out[at + 768u] = dot(a, b) + abs(a).x + sign(b).y + clamp(a, vec4i(-9), vec4i(9)).z;
}

@compute @workgroup_size(64)
fn lanes(@builtin(global_invocation_id) id: vec3u) {
    floats(f_a[id.x], f_a[id.x + 1u], id.x);
    integers(i_a[id.x], i_a[id.x + 3u], u_a[id.x], u_a[id.x + 3u], id.x);
}

@compute @workgroup_size(64)
fn shared_by_lanes(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
    floats(f_a[group.x], f_a[group.x + 5u], id.x);
    integers(i_a[group.x], i_a[group.x + 5u], u_a[group.x], u_a[group.x + 3u], id.x);
}
