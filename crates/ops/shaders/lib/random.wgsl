// Random draws that depend only on their index and a key, the same in any order (crates/ops/src/random.rs is identical).
// pcg4d: M. Jarzynski and M. Olano, "Hash Functions for GPU Rendering", JCGT 9 (3), 2020.

fn mix4(words: vec4u) -> vec4u {
    var v = words;
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    return v;
}

// Four random words: draw number `counter` of stream `stream`.
fn random4(counter: u32, stream: u32, key: vec2u) -> vec4u {
    var v = vec4u(counter, stream, key) * 1664525u + 1013904223u;
    v = mix4(v);
    v ^= v >> vec4u(16u);
    return mix4(v);
}

// Uniform in [0, 1): one of 2^24 floats.
fn uniform_of(word: u32) -> f32 {
    return f32(word >> 8u) / 16777216.0;
}
