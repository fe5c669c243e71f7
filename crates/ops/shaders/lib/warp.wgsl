// Images whose pixels are computed at positions of other images.
const NEAREST: u32 = 0u;  // fill modes outside of an image: aaaa|abcd|dddd
const CONSTANT: u32 = 1u; // kkkk|abcd|kkkk
const REFLECT: u32 = 2u;  // dcba|abcd|dcba
const WRAP: u32 = 3u;     // abcd|abcd|abcd; the two ops differ in its period
const COLUMNS: u32 = 16u; // of a workgroup with a pixel for each invocation
const ROWS: u32 = 16u;

// The two pixels of an axis around a position, and the fraction from the first to the second.
struct Between {
    first: i32,
    second: i32,
    share: f32,
}

// Interpolates from a to b by a fraction. With fraction 0, a NaN in b is ignored.
fn along(a: f32, b: f32, share: f32) -> f32 {
    return select(select(a * (1.0 - share) + b * share, a, share == 0.0), b, share == 1.0);
}
