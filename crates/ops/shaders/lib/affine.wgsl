// The numbers of an affine map: pixel (r, q) comes from row m0 r + m1 q + m2 and column m3 r + m4 q + m5.
const MAP: u32 = 6u;
