// Images pixel by pixel: a workgroup is 16 lanes along channels by 4 rows of invocations, each of which walks over 8 pixels.
// What depends on the pixel is the same for all lanes, and neighbouring lanes access neighbouring values.
const LANES: u32 = 16u;
const PIXEL_GROUPS: u32 = 4u;
const INVOCATION_PIXELS: u32 = 8u;
const PIXELS: u32 = PIXEL_GROUPS * INVOCATION_PIXELS; // of a workgroup

// The first pixel of an invocation, where pixels run along y and fold into z.
fn first_pixel(group: vec3u, groups: vec3u, local: vec3u) -> u32 {
    return (group.z * groups.y + group.y) * PIXELS + local.y * INVOCATION_PIXELS;
}
