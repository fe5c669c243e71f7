// For calls that compute every pixel of the result, with all taps of its window.
fn first_tap() -> vec2u {
    return vec2u();
}

fn tap_step() -> vec2u {
    return vec2u(1u);
}

fn skips_taps() -> bool {
    return false;
}

fn result_pixel(pixel: u32) -> u32 {
    return pixel;
}
