// The tile of `shared` by multiply-adds: an invocation computes 8 rows x 2 quads of columns, 64 multiply-adds for 4 loads of
// a quad from workgroup memory, one multiply-add per byte. The order of additions is that of all tiles; values past an end
// are 0.
#import shared

const SHARED_INVOCATIONS: u32 = 64u;
const STEPS: u32 = 16u; // along the inner axis, at once

// Both factors, a first: [rows, 4], rows with the steps in fours; or [16, rows / 4], steps with rows in fours. Then b:
// [16, lanes], steps with the columns in fours.
var<workgroup> block: array<vec4f, 640>;

// 8 rows by two quads of columns.
struct Sums { left: Rows, right: Rows }

fn sums_of(left: vec4f, right: vec4f) -> Sums {
    return Sums(all_rows(left), all_rows(right));
}

fn plus_sums(a: Sums, b: Sums) -> Sums {
    return Sums(plus(a.left, b.left), plus(a.right, b.right));
}

// What the sums of a workgroup whose first column is this one start from.
fn start_sums(first_column: u32, local: u32) -> Sums {
    return sums_of(start_of(first_column + left_column(local)), start_of(first_column + right_column(local)));
}

fn next_sums(s: Sums) -> Sums {
    return Sums(next_row(s.left), next_row(s.right));
}

// Where b starts in `block`.
fn start_of_b() -> u32 {
    return tile_rows() * ROW_QUADS;
}

// The quad of a row of a that holds its steps from `four * 4` on: rows that are loaded at the same time have theirs in
// different banks. Rows that are a multiple of 8 apart have the same order.
fn quad_of_row(row: u32, four: u32) -> u32 {
    return row * ROW_QUADS + (four ^ (row / 2u % 4u));
}

// An invocation's position in its workgroup along columns and along rows.
fn seat(local: u32) -> vec2u {
    return vec2u(local % (lanes / 2u), local / (lanes / 2u));
}

// The column of an invocation's left quad within its workgroup's; the right one is `lanes / 2` quads further.
fn left_column(local: u32) -> u32 {
    return seat(local).x * 4u;
}

fn right_column(local: u32) -> u32 {
    return (seat(local).x + lanes / 2u) * 4u;
}

// Row i of an invocation's 8 within its workgroup's, if a row of a has its steps in fours: adjacent invocations
// have adjacent rows, in different banks.
fn strided_row(local: u32, i: u32) -> u32 {
    return seat(local).y + i * tile_rows() / 8u;
}

// The same if a step of a has its rows in fours.
fn quad_row(local: u32, i: u32) -> u32 {
    return seat(local).y * 4u + i % 4u + i / 4u * tile_rows() / 2u;
}

fn put_b(loaded: Loaded, local: u32) {
    let at = start_of_b() + local;
    block[at] = put_quad(loaded.b0, loaded, FIRST_OF_B);
    block[at + 64u] = put_quad(loaded.b1, loaded, FIRST_OF_B + 1u);
    if !narrow() {
        block[at + 128u] = put_quad(loaded.b2, loaded, FIRST_OF_B + 2u);
        block[at + 192u] = put_quad(loaded.b3, loaded, FIRST_OF_B + 3u);
    }
}

// Stores values to workgroup memory, if a row of a has its steps in fours.
fn put_rows(loaded: Loaded, local: u32) {
    let at = quad_of_row(local / 4u, local % 4u);
    block[at] = put_quad(loaded.a.r0, loaded, 0u);
    block[at + 64u] = put_quad(loaded.a.r1, loaded, 1u);
    block[at + 128u] = put_quad(loaded.a.r2, loaded, 2u);
    block[at + 192u] = put_quad(loaded.a.r3, loaded, 3u);
    if narrow() {
        block[at + 256u] = put_quad(loaded.a.r4, loaded, 4u);
        block[at + 320u] = put_quad(loaded.a.r5, loaded, 5u);
        block[at + 384u] = put_quad(loaded.a.r6, loaded, 6u);
        block[at + 448u] = put_quad(loaded.a.r7, loaded, 7u);
    }
    put_b(loaded, local);
}

// The same where a step of a has its rows in fours.
fn put_steps(loaded: Loaded, local: u32) {
    block[local] = put_quad(loaded.a.r0, loaded, 0u);
    block[local + 64u] = put_quad(loaded.a.r1, loaded, 1u);
    block[local + 128u] = put_quad(loaded.a.r2, loaded, 2u);
    block[local + 192u] = put_quad(loaded.a.r3, loaded, 3u);
    if narrow() {
        block[local + 256u] = put_quad(loaded.a.r4, loaded, 4u);
        block[local + 320u] = put_quad(loaded.a.r5, loaded, 5u);
        block[local + 384u] = put_quad(loaded.a.r6, loaded, 6u);
        block[local + 448u] = put_quad(loaded.a.r7, loaded, 7u);
    }
    put_b(loaded, local);
}

// One step, with its two quads of columns in `block` from here on.
fn add_shared_step(upper: vec4f, lower: vec4f, at: u32, s: Sums) -> Sums {
    return Sums(add_step(upper, lower, block[at], s.left), add_step(upper, lower, block[at + lanes / 2u], s.right));
}

// All steps, if a row of a has its steps in fours.
fn add_rows(sums: Sums, local: u32) -> Sums {
    let seat = seat(local);
    let step = tile_rows() / 8u * ROW_QUADS;
    var s = sums;
    for (var q = 0u; q < STEPS / 4u; q++) {
        let at = quad_of_row(seat.y, q);
        let a0 = block[at];
        let a1 = block[at + step];
        let a2 = block[at + 2u * step];
        let a3 = block[at + 3u * step];
        let a4 = block[at + 4u * step];
        let a5 = block[at + 5u * step];
        let a6 = block[at + 6u * step];
        let a7 = block[at + 7u * step];
        let b = start_of_b() + 4u * q * lanes + seat.x;
        s = add_shared_step(vec4f(a0.x, a1.x, a2.x, a3.x), vec4f(a4.x, a5.x, a6.x, a7.x), b, s);
        s = add_shared_step(vec4f(a0.y, a1.y, a2.y, a3.y), vec4f(a4.y, a5.y, a6.y, a7.y), b + lanes, s);
        s = add_shared_step(vec4f(a0.z, a1.z, a2.z, a3.z), vec4f(a4.z, a5.z, a6.z, a7.z), b + 2u * lanes, s);
        s = add_shared_step(vec4f(a0.w, a1.w, a2.w, a3.w), vec4f(a4.w, a5.w, a6.w, a7.w), b + 3u * lanes, s);
    }
    return s;
}

// All steps, if a step of a has its rows in fours.
fn add_steps(sums: Sums, local: u32) -> Sums {
    let seat = seat(local);
    let quads = tile_rows() / 4u;
    var s = sums;
    for (var k = 0u; k < STEPS; k++) {
        let at = k * quads + seat.y;
        s = add_shared_step(block[at], block[at + quads / 2u], start_of_b() + k * lanes + seat.x, s);
    }
    return s;
}

// Stores the sums of a workgroup with this corner, if a row of a has its steps in fours.
fn store_tile_of_rows(sums: Sums, part: u32, corner: vec2u, local: u32) {
    var s = sums;
    for (var i = 0u; i < ROWS; i++) {
        let row = corner.y + strided_row(local, i);
        store_result(part, row, corner.x + left_column(local), s.left.r0);
        store_result(part, row, corner.x + right_column(local), s.right.r0);
        s = next_sums(s);
    }
}

// The same if a step of a has its rows in fours.
fn store_tile_of_steps(sums: Sums, part: u32, corner: vec2u, local: u32) {
    var s = sums;
    for (var i = 0u; i < ROWS; i++) {
        let row = corner.y + quad_row(local, i);
        store_result(part, row, corner.x + left_column(local), s.left.r0);
        store_result(part, row, corner.x + right_column(local), s.right.r0);
        s = next_sums(s);
    }
}
