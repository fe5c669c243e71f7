// Images by channels: a workgroup is 16 lanes along channels by 4 images, and each invocation reads all
// pixels of its image.
const LANES: u32 = 16u;
const IMAGES: u32 = 4u; // of a workgroup

struct Params {
    images: u32,   // N
    pixels: u32,   // P, of an image: H * W
    channels: u32, // C
}

// The image of an invocation, with images along y, wrapping to z.
fn image_of(group: vec3u, groups: vec3u, local: vec3u) -> u32 {
    return (group.z * groups.y + group.y) * IMAGES + local.y;
}
