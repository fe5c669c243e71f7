// A long sum in one invocation, as a tree: blocks of 32 terms, 32 blocks of these and so on, so that rounding errors do not
// grow with the number of terms. The longest chain of additions is 32, or a millionth of the number of terms if that is more.
const TERMS: u32 = 32u; // of a block, and blocks of the next larger one

// Adds a block's sum to the sums of blocks of each size, smallest first. Blocks are numbered from 0.
fn add_block(sums: vec4f, part: f32, block: u32) -> vec4f {
    var s = vec4f(sums.x + part, sums.yzw);
    if block % TERMS == TERMS - 1u {
        s = vec4f(0.0, s.y + s.x, s.zw);
        if block % (TERMS * TERMS) == TERMS * TERMS - 1u {
            s = vec4f(0.0, 0.0, s.z + s.y, s.w);
            if block % (TERMS * TERMS * TERMS) == TERMS * TERMS * TERMS - 1u {
                s = vec4f(0.0, 0.0, 0.0, s.w + s.z);
            }
        }
    }
    return s;
}

// The sum of all blocks.
fn sum_of_blocks(sums: vec4f) -> f32 {
    return ((sums.x + sums.y) + sums.z) + sums.w;
}
