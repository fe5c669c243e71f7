// What is drawn for an image, and where it stands among the figures of `draws`.
const TRANSFORM: u32 = 0u;     // 6: pixel (y, x) comes from row d0 y + d1 x + d2 and column d3 y + d4 x + d5
const CHANNEL_SHIFT: u32 = 6u; // what is added to all values
const BRIGHTNESS: u32 = 7u;    // what they are multiplied by
const CUTOUT: u32 = 8u;        // 2: the row and the column where the square that is cut out starts
const DRAWS: u32 = 10u;
