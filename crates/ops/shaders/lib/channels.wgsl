// Images by pixels: a workgroup is 16 lanes along channels by 4 rows of invocations, each of which computes 8 pixels.
// Values that depend on the pixel are uniform, and adjacent lanes access adjacent values.
const LANES: u32 = 16u;
const PIXEL_GROUPS: u32 = 4u;
const INVOCATION_PIXELS: u32 = 8u;
const PIXELS: u32 = PIXEL_GROUPS * INVOCATION_PIXELS; // of a workgroup

// The first pixel of an invocation, with pixels along y, wrapping to z.
fn first_pixel(group: vec3u, groups: vec3u, local: vec3u) -> u32 {
    return (group.z * groups.y + group.y) * PIXELS + local.y * INVOCATION_PIXELS;
}
