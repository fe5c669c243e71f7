// Where a is not transposed, sums along the inner axis of a product are sums of blocks: rounding errors of one long sum would grow with its length,
// and blocks can be computed side by side, to the same bits.
const BLOCK: u32 = 256u; // steps along the inner axis
