// Images element by element: a workgroup is 16 lanes along channels by 16 pixels, so that what depends on the pixel is
// the same for all lanes, and neighbouring lanes access neighbouring values.
const LANES: u32 = 16u;
const PIXELS: u32 = 16u; // of a workgroup

// The pixel of an invocation, where pixels run along y and fold into z.
fn pixel_of(group: vec3u, groups: vec3u, local: vec3u) -> u32 {
    return (group.z * groups.y + group.y) * PIXELS + local.y;
}
