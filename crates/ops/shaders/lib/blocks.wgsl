// If a is not transposed, sums along the inner axis of a product are sums of blocks: rounding errors of one long sum
// would grow with its length, and blocks can be computed in parallel, with bit-identical results.
const BLOCK: u32 = 256u; // steps along the inner axis
