// The random draws of an image, and their offsets in `draws`.
const TRANSFORM: u32 = 0u;     // 6: pixel (y, x) comes from row d0 y + d1 x + d2 and column d3 y + d4 x + d5
const CHANNEL_SHIFT: u32 = 6u; // added to all values
const BRIGHTNESS: u32 = 7u;    // the factor of all values
const CUTOUT: u32 = 8u;        // 2: the first row and column of the cutout square
const DRAWS: u32 = 10u;
