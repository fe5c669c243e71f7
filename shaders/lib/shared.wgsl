// The tile of products in workgroup memory: a workgroup of 128 invocations computes 64 rows x 64 columns of the result, an
// invocation 8 rows x 4 neighbouring columns of them.
//
// 16 steps along the inner axis at a time, the workgroup puts what they take of both factors into its memory: each value
// is loaded once by a workgroup, where the tile in registers has many invocations load it. Sums are added in the same
// order; what lies past an end is 0.
#import quads

const SHARED_INVOCATIONS: u32 = 128u;
const SIDE: u32 = 64u;      // rows and columns of a workgroup
const SIDE_QUADS: u32 = 16u;
const STEPS: u32 = 16u;     // along the inner axis, at once
const ROW_QUADS: u32 = 5u;  // of a row of `block_a`: the four steps' and one that sets rows apart in memory's banks

var<workgroup> block_a: array<vec4f, 320>; // [64, 5], rows with the steps in fours; or [16, 16], steps with the rows in fours
var<workgroup> block_b: array<vec4f, 256>; // [16, 16], steps with the columns in fours

// The first column of a workgroup and its first row, where tiles of rows run along y and fold into z.
fn shared_corner(group: vec3u, groups: vec3u) -> vec2u {
    return vec2u(group.x * SIDE, (group.z * groups.y + group.y) * SIDE);
}

// The first column and the first row that an invocation owns, within its workgroup's.
fn owned(local: u32) -> vec2u {
    return vec2u(local % SIDE_QUADS * 4u, local / SIDE_QUADS * ROWS);
}

// All steps, where a row of a has its steps in fours.
fn add_rows(sums: Rows, local: u32) -> Rows {
    let at = local / SIDE_QUADS * ROWS * ROW_QUADS;
    let column = local % SIDE_QUADS;
    var s = sums;
    for (var q = 0u; q < STEPS / 4u; q++) {
        let a = Rows(
            block_a[at + q],
            block_a[at + ROW_QUADS + q],
            block_a[at + 2u * ROW_QUADS + q],
            block_a[at + 3u * ROW_QUADS + q],
            block_a[at + 4u * ROW_QUADS + q],
            block_a[at + 5u * ROW_QUADS + q],
            block_a[at + 6u * ROW_QUADS + q],
            block_a[at + 7u * ROW_QUADS + q],
        );
        let b0 = block_b[4u * q * SIDE_QUADS + column];
        let b1 = block_b[(4u * q + 1u) * SIDE_QUADS + column];
        let b2 = block_b[(4u * q + 2u) * SIDE_QUADS + column];
        let b3 = block_b[(4u * q + 3u) * SIDE_QUADS + column];
        s = add_four_steps(a, b0, b1, b2, b3, s);
    }
    return s;
}

// All steps, where a step of a has its rows in fours.
fn add_steps(sums: Rows, local: u32) -> Rows {
    let row = local / SIDE_QUADS * ROWS / 4u;
    let column = local % SIDE_QUADS;
    var s = sums;
    for (var k = 0u; k < STEPS; k++) {
        let at = k * SIDE_QUADS;
        s = add_step(block_a[at + row], block_a[at + row + 1u], block_b[at + column], s);
    }
    return s;
}
