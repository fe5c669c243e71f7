// Products by way of workgroup memory: which values a workgroup and its invocations load. A workgroup computes 64 rows x 64
// columns of the result, or 128 rows x 32 columns where there are few columns.
//
// The workgroup copies a block, STEPS steps along the inner axis of both factors, to its memory at a time, each value
// loaded once; the next block is loaded into registers while this one is multiplied. `lanes` is 16 or 8: the quads of a
// workgroup along columns. A block of a is either rows with their steps in fours, or steps with their rows in fours:
// `put_rows`, `add_rows` and `store_tile_of_rows`, or `put_steps`, `add_steps` and `store_tile_of_steps`.
//
// `shared_fma` and `shared_cooperative` define these functions, SHARED_INVOCATIONS and STEPS: the importing file imports one
// of them, and defines where sums start and end:
//   fn start_of(column: u32) -> vec4f
//   fn store_result(part: u32, row: u32, column: u32, value: vec4f)
#import quads

const TILE_VALUES: u32 = 4096u; // rows x columns of a workgroup
const ROW_QUADS: u32 = STEPS / 4u; // of a row of a

// The values of a block that one invocation loads: up to 8 quads of a and 4 of b; `there` has a bit for each of these
// 12 that is not past an end. The others are set to 0 when they are stored to workgroup memory, not when they are
// loaded, because a test would wait for the load.
struct Loaded { a: Rows, b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f, there: u32 }

const ALL_OF_A: u32 = 0xffu;
const FIRST_OF_B: u32 = 8u; // the bit

fn bit(i: u32, there: bool) -> u32 {
    return select(0u, 1u << i, there);
}

// The quad to store, 0 if it is past an end.
fn put_quad(v: vec4f, loaded: Loaded, i: u32) -> vec4f {
    return or_zero(v, (loaded.there >> i & 1u) != 0u);
}

// Whether the tile is the one for few columns: 8 loads of a and 2 of b instead of 4 and 4.
fn narrow() -> bool {
    return lanes == 8u;
}

fn tile_rows() -> u32 {
    return TILE_VALUES / 4u / lanes;
}

// The first column and the first row of a workgroup, with tiles of rows along y, wrapping to z.
fn shared_corner(group: vec3u, groups: vec3u) -> vec2u {
    return vec2u(group.x * lanes * 4u, (group.z * groups.y + group.y) * tile_rows());
}

// The row of the factor with rows whose steps an invocation loads in its j-th load, and which four of the steps.
fn loaded_row(local: u32, j: u32) -> u32 {
    return local / ROW_QUADS + SHARED_INVOCATIONS / ROW_QUADS * j;
}

fn loaded_four(local: u32) -> u32 {
    return local % ROW_QUADS;
}

// The step that an invocation loads in its j-th load of the factor with columns, and the quad of columns.
fn loaded_step(local: u32, j: u32) -> u32 {
    return local / lanes + j * (SHARED_INVOCATIONS / lanes);
}

fn loaded_quad(local: u32) -> u32 {
    return local % lanes;
}

// The same for the factor with steps that have their rows in fours.
fn loaded_row_step(local: u32, j: u32) -> u32 {
    let quads = tile_rows() / 4u;
    return local / quads + j * (SHARED_INVOCATIONS / quads);
}

fn loaded_row_quad(local: u32) -> u32 {
    return local % (tile_rows() / 4u);
}

// The bits of b's loads whose steps are before an end.
fn steps_there(step: vec4u, end: u32) -> u32 {
    let there = step < vec4u(end);
    return bit(FIRST_OF_B, there.x)
        | bit(FIRST_OF_B + 1u, there.y)
        | bit(FIRST_OF_B + 2u, there.z)
        | bit(FIRST_OF_B + 3u, there.w);
}

// The bits of a's loads whose steps, with rows in fours, are before an end, of a block from k on.
fn row_steps_there(local: u32, k: u32, end: u32) -> u32 {
    var there = 0u;
    for (var j = 0u; j < 8u; j++) {
        there |= bit(j, k + loaded_row_step(local, j) < end);
    }
    return there;
}

