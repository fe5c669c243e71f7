// Four 16-bit floats as they are stored, two to a word: every device can load them, with or without arithmetic in f16.
fn quad_of_halves(halves: vec2u) -> vec4f {
    return vec4f(unpack2x16float(halves.x), unpack2x16float(halves.y));
}
