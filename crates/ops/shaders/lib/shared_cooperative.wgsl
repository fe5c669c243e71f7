// The tile of `shared` by cooperative matrices, on devices whose subgroups have 32 invocations: a subgroup multiplies 32 rows
// by 32 columns as four matrices of 16 x 16. Factors are rounded to f16 on the way to workgroup memory; sums are f32, in
// an order that the device chooses.
#import shared

const SHARED_INVOCATIONS: u32 = 128u;
const STEPS: u32 = 32u;     // along the inner axis, at once
const SUBGROUP: u32 = 32u;  // invocations
const PADDING: u32 = 2u;    // quads after each row, which puts adjacent rows into different banks
const MATRIX: u32 = 16u;    // rows, columns and steps of a cooperative matrix
const MATRIX_QUADS: u32 = MATRIX / 4u;
const SUBGROUP_VALUES: u32 = SUBGROUP * MATRIX; // of two matrices side by side

// Both factors, a first: rows with the steps in fours, or steps with the rows in fours. Then b: steps with the columns in
// fours.
var<workgroup> block: array<vec4<f16>, 1600>;
// Two matrices of each subgroup side by side: [4, 16, 32].
var<workgroup> results: array<f32, 2048>;

// A subgroup's sums: two matrices of 16 rows below two.
struct Sums {
    upper_left: coop_mat16x16<f32, C>,
    upper_right: coop_mat16x16<f32, C>,
    lower_left: coop_mat16x16<f32, C>,
    lower_right: coop_mat16x16<f32, C>,
}

fn plus_sums(a: Sums, b: Sums) -> Sums {
    return Sums(
        a.upper_left + b.upper_left,
        a.upper_right + b.upper_right,
        a.lower_left + b.lower_left,
        a.lower_right + b.lower_right,
    );
}

// Zero: `start_of` is added when the sums are stored.
fn start_sums(first_column: u32, local: u32) -> Sums {
    return Sums();
}

// The first column and the first row of a subgroup in its workgroup's tile.
fn subgroup_corner(subgroup: u32) -> vec2u {
    let across = lanes / 8u;
    return vec2u(subgroup % across, subgroup / across) * SUBGROUP;
}

fn row_stride() -> u32 {
    return ROW_QUADS + PADDING;
}

fn row_step_stride() -> u32 {
    return tile_rows() / 4u + PADDING;
}

fn b_stride_in_block() -> u32 {
    return lanes + PADDING;
}

fn put_halves(at: u32, v: vec4f, loaded: Loaded, i: u32) {
    block[at] = vec4<f16>(put_quad(v, loaded, i));
}

// Stores the loads of b behind a.
fn put_b(loaded: Loaded, local: u32, start: u32) {
    let stride = b_stride_in_block();
    let at = start + loaded_quad(local);
    put_halves(at + loaded_step(local, 0u) * stride, loaded.b0, loaded, FIRST_OF_B);
    put_halves(at + loaded_step(local, 1u) * stride, loaded.b1, loaded, FIRST_OF_B + 1u);
    if !narrow() {
        put_halves(at + loaded_step(local, 2u) * stride, loaded.b2, loaded, FIRST_OF_B + 2u);
        put_halves(at + loaded_step(local, 3u) * stride, loaded.b3, loaded, FIRST_OF_B + 3u);
    }
}

// Stores values to workgroup memory, if a row of a has its steps in fours.
fn put_rows(loaded: Loaded, local: u32) {
    let stride = row_stride();
    let at = loaded_four(local);
    put_halves(at + loaded_row(local, 0u) * stride, loaded.a.r0, loaded, 0u);
    put_halves(at + loaded_row(local, 1u) * stride, loaded.a.r1, loaded, 1u);
    put_halves(at + loaded_row(local, 2u) * stride, loaded.a.r2, loaded, 2u);
    put_halves(at + loaded_row(local, 3u) * stride, loaded.a.r3, loaded, 3u);
    if narrow() {
        put_halves(at + loaded_row(local, 4u) * stride, loaded.a.r4, loaded, 4u);
        put_halves(at + loaded_row(local, 5u) * stride, loaded.a.r5, loaded, 5u);
        put_halves(at + loaded_row(local, 6u) * stride, loaded.a.r6, loaded, 6u);
        put_halves(at + loaded_row(local, 7u) * stride, loaded.a.r7, loaded, 7u);
    }
    put_b(loaded, local, tile_rows() * stride);
}

// The same where a step of a has its rows in fours.
fn put_steps(loaded: Loaded, local: u32) {
    let stride = row_step_stride();
    let at = loaded_row_quad(local);
    put_halves(at + loaded_row_step(local, 0u) * stride, loaded.a.r0, loaded, 0u);
    put_halves(at + loaded_row_step(local, 1u) * stride, loaded.a.r1, loaded, 1u);
    put_halves(at + loaded_row_step(local, 2u) * stride, loaded.a.r2, loaded, 2u);
    put_halves(at + loaded_row_step(local, 3u) * stride, loaded.a.r3, loaded, 3u);
    if narrow() {
        put_halves(at + loaded_row_step(local, 4u) * stride, loaded.a.r4, loaded, 4u);
        put_halves(at + loaded_row_step(local, 5u) * stride, loaded.a.r5, loaded, 5u);
        put_halves(at + loaded_row_step(local, 6u) * stride, loaded.a.r6, loaded, 6u);
        put_halves(at + loaded_row_step(local, 7u) * stride, loaded.a.r7, loaded, 7u);
    }
    put_b(loaded, local, STEPS * stride);
}

// The sums with 16 steps more, of two matrices of a below each other and two of b side by side.
fn add_matrices(
    upper: coop_mat16x16<f16, A>,
    lower: coop_mat16x16<f16, A>,
    left: coop_mat16x16<f16, B>,
    right: coop_mat16x16<f16, B>,
    s: Sums,
) -> Sums {
    return Sums(
        coopMultiplyAdd(upper, left, s.upper_left),
        coopMultiplyAdd(upper, right, s.upper_right),
        coopMultiplyAdd(lower, left, s.lower_left),
        coopMultiplyAdd(lower, right, s.lower_right),
    );
}

// All steps of a block, if a row of a has its steps in fours.
fn add_rows(sums: Sums, local: u32) -> Sums {
    let corner = subgroup_corner(local / SUBGROUP);
    let stride = row_stride();
    let across = b_stride_in_block();
    var a = corner.y * stride;
    var b = tile_rows() * stride + corner.x / 4u;
    var s = sums;
    for (var k = 0u; k < STEPS; k += MATRIX) {
        let upper = coopLoadT<coop_mat16x16<f16, A>>(&block[a], stride);
        let lower = coopLoadT<coop_mat16x16<f16, A>>(&block[a + MATRIX * stride], stride);
        let left = coopLoadT<coop_mat16x16<f16, B>>(&block[b], across);
        let right = coopLoadT<coop_mat16x16<f16, B>>(&block[b + MATRIX_QUADS], across);
        s = add_matrices(upper, lower, left, right, s);
        a += MATRIX_QUADS;
        b += MATRIX * across;
    }
    return s;
}

// All steps of a block, if a step of a has its rows in fours: matrices of a are loaded transposed.
fn add_steps(sums: Sums, local: u32) -> Sums {
    let corner = subgroup_corner(local / SUBGROUP);
    let stride = row_step_stride();
    let across = b_stride_in_block();
    var a = corner.y / 4u;
    var b = STEPS * stride + corner.x / 4u;
    var s = sums;
    for (var k = 0u; k < STEPS; k += MATRIX) {
        let upper = coopLoad<coop_mat16x16<f16, A>>(&block[a], stride);
        let lower = coopLoad<coop_mat16x16<f16, A>>(&block[a + MATRIX_QUADS], stride);
        let left = coopLoadT<coop_mat16x16<f16, B>>(&block[b], across);
        let right = coopLoadT<coop_mat16x16<f16, B>>(&block[b + MATRIX_QUADS], across);
        s = add_matrices(upper, lower, left, right, s);
        a += MATRIX * stride;
        b += MATRIX * across;
    }
    return s;
}

// Stores a quad of each subgroup's two matrices in `results`, whose first row in the subgroup's sums is this one.
fn store_results(part: u32, corner: vec2u, first_row: u32, local: u32) {
    for (var subgroup = 0u; subgroup < SHARED_INVOCATIONS / SUBGROUP; subgroup++) {
        let at = corner + subgroup_corner(subgroup);
        let row = at.y + first_row + local / 8u;
        let column = at.x + local % 8u * 4u;
        let first = subgroup * SUBGROUP_VALUES + local * 4u;
        let sum = vec4f(
            results[first],
            results[first + 1u],
            results[first + 2u],
            results[first + 3u],
        );
        store_result(part, row, column, sum + start_of(column));
    }
}

// Stores the sums of a workgroup with this corner.
fn store_tile_of_rows(sums: Sums, part: u32, corner: vec2u, local: u32) {
    // naga 30 needs the matrices, the pointers and the stride in variables of their own.
    let stride = SUBGROUP;
    let at = local / SUBGROUP * SUBGROUP_VALUES;
    let left = &results[at];
    let right = &results[at + MATRIX];
    let upper_left = sums.upper_left;
    let upper_right = sums.upper_right;
    coopStoreT(upper_left, left, stride);
    coopStoreT(upper_right, right, stride);
    workgroupBarrier();
    store_results(part, corner, 0u, local);
    workgroupBarrier();
    let lower_left = sums.lower_left;
    let lower_right = sums.lower_right;
    coopStoreT(lower_left, left, stride);
    coopStoreT(lower_right, right, stride);
    workgroupBarrier();
    store_results(part, corner, MATRIX, local);
}

fn store_tile_of_steps(sums: Sums, part: u32, corner: vec2u, local: u32) {
    store_tile_of_rows(sums, part, corner, local);
}
