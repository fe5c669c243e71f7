// The register tile of products where an invocation loads four neighbouring values as fast as one: 8 rows and 4
// neighbouring columns of the result.
//
// A workgroup is 8 lanes along columns by 8 groups of rows. A step along the inner axis takes four values of each row and
// four columns of each of four rows of the other factor: 12 loads for 128 multiply-adds. Rows of both factors are
// multiples of 4 long, filled up with zeros. Sums are stored in a loop that hands them on: drivers take long for as many
// copies of a store.
const QUAD_LANES: u32 = 8u;
const QUAD_GROUPS: u32 = 8u;
const QUAD_ROWS: u32 = 64u;    // of a workgroup
const QUAD_COLUMNS: u32 = 32u; // of a workgroup

// The first row of an invocation, where tiles of rows run along y and fold into z.
fn first_quad_row(group: vec3u, groups: vec3u, local: vec3u) -> u32 {
    return (group.z * groups.y + group.y) * QUAD_ROWS + local.y * 8u;
}

// sum + a.x * b0 + a.y * b1 + a.z * b2 + a.w * b3: four steps along the inner axis of one row.
fn multiply_add_quads(a: vec4f, b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f, sum: vec4f) -> vec4f {
    return fma(vec4f(a.w), b3, fma(vec4f(a.z), b2, fma(vec4f(a.y), b1, fma(vec4f(a.x), b0, sum))));
}
