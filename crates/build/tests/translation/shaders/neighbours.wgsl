// Values that increase by 1 from lane to lane, and values derived from them.
@group(0) @binding(0) var<storage, read> f_a: array<f32>;
@group(0) @binding(1) var<storage, read_write> i_out: array<i32>;
@group(0) @binding(2) var<storage, read_write> f_out: array<f32>;

@compute @workgroup_size(64)
fn linear_and_clamped(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) index: u32) {
    let i = i32(id.x);
    let back = i - 70;
    let clamped = min(id.x, 100u);
    let low = clamp(id.x + 3u, 0u, 70u);
    i_out[id.x] = back;
    i_out[id.x + 192u] = -back * 3 + i32(clamped) - i32(low);
    i_out[id.x + 384u] = i32(u32(back) >> 4u);
    i_out[id.x + 576u] = abs(back) + (70 - i);
    i_out[id.x + 768u] = select(i, back, back > -3) + i32(id.x - 5u);
    i_out[id.x + 960u] = i32(index) * 2 + i32(id.x == 77u) + i32(clamped == 100u);
    f_out[id.x] = f_a[clamped] + f_a[low + 2u];
    f_out[id.x + 192u] = f_a[min(id.x + 9u, 50u) - 1u];
    f_out[id.x + 384u] = f_a[191u - id.x] + f_a[id.x * 2u] + f_a[id.x / 3u] + f32(i) * 0.5;
    if id.x >= 5u {
        f_out[id.x + 576u] = f_a[id.x - 5u];
    }
    if back >= 0 && back < 20 {
        f_out[back + 768] = f_a[back] + f_a[min(u32(back), 9u)];
    }
    f_out[id.x + 960u] = f_a[min(100u, id.x)] - f_a[clamped * 2u];
    let pair = id.xy;
    let swapped = pair.yx;
    f_out[id.x + 1152u] = f_a[swapped.y] + f32(swapped.x) + vec2f(pair).x + f32(dot(pair, vec2u(3u, 2u)));
    var at = id.x;
    var sum = 0.0;
    for (var k = 0u; k < 5u; k++) {
        sum += f_a[at];
        at += 192u;
    }
    f_out[id.x + 1344u] = sum;
}
