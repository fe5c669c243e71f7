// The register tile of products where an invocation loads four adjacent values as fast as one: 8 rows and 4 adjacent
// columns of the result, a quad.
//
// A workgroup of 64 invocations is `lanes` quads wide with as many groups of 8 rows as fit, so that few invocations are
// idle for any number of columns. A step along the inner axis loads four values of each row and a quad of each of four
// rows of the other factor: 12 loads for 128 multiply-adds. Rows of both factors are padded with zeros to multiples of
// 4. Sums are stored in a loop that shifts them, because drivers compile many copies of a store slowly.
const INVOCATIONS: u32 = 64u;
const ROWS: u32 = 8u; // of an invocation

override lanes: u32; // quads of a workgroup along columns

// The first column and the first row of an invocation, with tiles of rows along y, wrapping to z. Surplus invocations
// get a row past the last.
fn corner(group: vec3u, groups: vec3u, local: u32) -> vec2u {
    let row_groups = INVOCATIONS / lanes;
    let tile = group.z * groups.y + group.y;
    let row_group = select(0xffffffu, local / lanes, local / lanes < row_groups);
    return vec2u((group.x * lanes + local % lanes) * 4u, (tile * row_groups + row_group) * ROWS);
}

// sum + a.x * b0 + a.y * b1 + a.z * b2 + a.w * b3: four steps along the inner axis of one row.
fn multiply_add_quads(a: vec4f, b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f, sum: vec4f) -> vec4f {
    return fma(vec4f(a.w), b3, fma(vec4f(a.z), b2, fma(vec4f(a.y), b1, fma(vec4f(a.x), b0, sum))));
}

// A quad of each of the 8 rows: sums, or four steps of each row of a factor.
struct Rows { r0: vec4f, r1: vec4f, r2: vec4f, r3: vec4f, r4: vec4f, r5: vec4f, r6: vec4f, r7: vec4f }

fn all_rows(v: vec4f) -> Rows {
    return Rows(v, v, v, v, v, v, v, v);
}

// Shifts all rows up by one, for a loop that stores the first.
fn next_row(s: Rows) -> Rows {
    return Rows(s.r1, s.r2, s.r3, s.r4, s.r5, s.r6, s.r7, s.r7);
}

fn plus(a: Rows, b: Rows) -> Rows {
    return Rows(a.r0 + b.r0, a.r1 + b.r1, a.r2 + b.r2, a.r3 + b.r3, a.r4 + b.r4, a.r5 + b.r5, a.r6 + b.r6, a.r7 + b.r7);
}

// Four steps along the inner axis.
fn add_four_steps(a: Rows, b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f, s: Rows) -> Rows {
    return Rows(
        multiply_add_quads(a.r0, b0, b1, b2, b3, s.r0),
        multiply_add_quads(a.r1, b0, b1, b2, b3, s.r1),
        multiply_add_quads(a.r2, b0, b1, b2, b3, s.r2),
        multiply_add_quads(a.r3, b0, b1, b2, b3, s.r3),
        multiply_add_quads(a.r4, b0, b1, b2, b3, s.r4),
        multiply_add_quads(a.r5, b0, b1, b2, b3, s.r5),
        multiply_add_quads(a.r6, b0, b1, b2, b3, s.r6),
        multiply_add_quads(a.r7, b0, b1, b2, b3, s.r7),
    );
}

// A value, or 0 past an end: padding is multiplied by 0, but 0 times infinity is not 0.
fn or_zero(v: vec4f, there: bool) -> vec4f {
    return select(vec4f(), v, there);
}

// The rows up to a last one, followed by zeros.
fn rows_up_to(s: Rows, last: u32) -> Rows {
    return Rows(
        s.r0,
        or_zero(s.r1, last >= 1u),
        or_zero(s.r2, last >= 2u),
        or_zero(s.r3, last >= 3u),
        or_zero(s.r4, last >= 4u),
        or_zero(s.r5, last >= 5u),
        or_zero(s.r6, last >= 6u),
        or_zero(s.r7, last >= 7u),
    );
}

// One step, with the first four rows and the last four in a quad each.
fn add_step(upper: vec4f, lower: vec4f, b: vec4f, s: Rows) -> Rows {
    return Rows(
        fma(vec4f(upper.x), b, s.r0),
        fma(vec4f(upper.y), b, s.r1),
        fma(vec4f(upper.z), b, s.r2),
        fma(vec4f(upper.w), b, s.r3),
        fma(vec4f(lower.x), b, s.r4),
        fma(vec4f(lower.y), b, s.r5),
        fma(vec4f(lower.z), b, s.r6),
        fma(vec4f(lower.w), b, s.r7),
    );
}
