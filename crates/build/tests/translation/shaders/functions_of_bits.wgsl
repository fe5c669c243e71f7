// The built-in functions on the bits of integers.
@group(0) @binding(0) var<storage, read> i_a: array<i32>;
@group(0) @binding(1) var<storage, read> u_a: array<u32>;
@group(0) @binding(2) var<storage, read> u_b: array<u32>;
@group(0) @binding(3) var<storage, read_write> i_out: array<i32>;
@group(0) @binding(4) var<storage, read_write> u_out: array<u32>;

fn bits(i: i32, u: u32, w: u32, at: u32) {
    let offset = w % 32u;
    let count = (w / 32u) % (33u - offset);
    u_out[at] = countOneBits(u) + 64u * countLeadingZeros(u) + 4096u * countTrailingZeros(u);
    i_out[at] = countOneBits(i) + 64 * countLeadingZeros(i) + 4096 * countTrailingZeros(i);
    u_out[at + 192u] = reverseBits(u);
    i_out[at + 192u] = reverseBits(i);
    u_out[at + 384u] = extractBits(u, offset, count);
    i_out[at + 384u] = extractBits(i, offset, count);
    u_out[at + 576u] = insertBits(u, w, offset, count);
    i_out[at + 576u] = insertBits(i, -77, offset, count);
    u_out[at + 768u] = extractBits(u, 5u, 7u) + extractBits(w, 0u, 32u) + extractBits(u, 3u, 0u);
    i_out[at + 768u] = extractBits(i, 5u, 7u) + extractBits(i, 31u, 1u);
    let v = reverseBits(vec2u(u, w)) + countOneBits(vec2u(w, u));
    u_out[at + 960u] = v.x ^ v.y;
    u_out[at + 1152u] = firstLeadingBit(u) ^ firstTrailingBit(w) ^ firstLeadingBit(vec2u(w, 0u)).y;
    i_out[at + 1152u] = firstLeadingBit(i) ^ (firstTrailingBit(i) << 8u) ^ firstLeadingBit(-1);
}

@compute @workgroup_size(64)
fn lanes(@builtin(global_invocation_id) id: vec3u) {
    bits(i_a[id.x], u_a[id.x], u_b[id.x], id.x);
}

@compute @workgroup_size(64)
fn shared_by_lanes(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
    bits(i_a[group.x + 70u], u_a[group.x + 70u], u_b[group.x + 80u], id.x);
}
