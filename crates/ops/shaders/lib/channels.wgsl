// Rows of values by columns: images by channels, or other rows. A workgroup is 16 lanes along columns by 4 groups of
// rows; an invocation computes 8 rows of its column. What depends on the row is uniform, and adjacent lanes access
// adjacent values.
const LANES: u32 = 16u;
const PIXEL_GROUPS: u32 = 4u;
const INVOCATION_PIXELS: u32 = 8u;
const PIXELS: u32 = PIXEL_GROUPS * INVOCATION_PIXELS; // of a workgroup

// The column of an invocation, of so many.
fn column_of(group: vec3u, groups: vec3u, local: vec3u, columns: u32) -> u32 {
    return group.x * LANES + local.x;
}

// The group of rows of an invocation, along y, wrapping to z.
fn row_group_of(group: vec3u, groups: vec3u, local: vec3u, columns: u32) -> u32 {
    return (group.z * groups.y + group.y) * PIXEL_GROUPS + local.y;
}

// The first row of an invocation.
fn first_pixel(group: vec3u, groups: vec3u, local: vec3u, columns: u32) -> u32 {
    return row_group_of(group, groups, local, columns) * INVOCATION_PIXELS;
}
