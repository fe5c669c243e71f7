// The register tile of all products: an invocation computes 6 rows and 2 columns of the result. On a processor, the
// sums of a lane and the loads of a step fit in 16 vector registers.
//
// A workgroup is 16 lanes along columns by 4 groups of rows (by 8 where it copies columns to its memory). The two columns of an invocation are 16 apart, so that
// adjacent lanes load adjacent values; values that depend only on the row are uniform. Loads past the last column read
// beyond it (a plan leaves room); the results are not stored.
const LANES: u32 = 16u;
const ROW_GROUPS: u32 = 4u;
const INVOCATION_ROWS: u32 = 6u;
const TILE_ROWS: u32 = ROW_GROUPS * INVOCATION_ROWS; // of a workgroup
const TILE_COLUMNS: u32 = 2u * LANES;                // of a workgroup

// The first row of an invocation, with tiles of rows along y, wrapping to z.
fn first_row(group: vec3u, groups: vec3u, local: vec3u) -> u32 {
    return (group.z * groups.y + group.y) * TILE_ROWS + local.y * INVOCATION_ROWS;
}

// sum + a.x * b0 + a.y * b1 + a.z * b2 + a.w * b3: four steps along the inner axis of one row.
fn multiply_add4(a: vec4f, b0: vec2f, b1: vec2f, b2: vec2f, b3: vec2f, sum: vec2f) -> vec2f {
    return fma(vec2f(a.w), b3, fma(vec2f(a.z), b2, fma(vec2f(a.y), b1, fma(vec2f(a.x), b0, sum))));
}
