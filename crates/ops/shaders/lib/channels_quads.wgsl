// As channels.wgsl, for columns of quads: adjacent invocations of a workgroup have adjacent columns, then the next group
// of 8 rows, so that none is idle for any number of columns.
const LANES: u32 = 64u;
const PIXEL_GROUPS: u32 = 1u;
const INVOCATION_PIXELS: u32 = 8u;

fn place_of(group: vec3u, groups: vec3u, local: vec3u) -> u32 {
    return (group.y * groups.x + group.x) * LANES + local.x;
}

// The column of an invocation, of so many.
fn column_of(group: vec3u, groups: vec3u, local: vec3u, columns: u32) -> u32 {
    return place_of(group, groups, local) % columns;
}

// The group of rows of an invocation.
fn row_group_of(group: vec3u, groups: vec3u, local: vec3u, columns: u32) -> u32 {
    return place_of(group, groups, local) / columns;
}

// The first row of an invocation.
fn first_pixel(group: vec3u, groups: vec3u, local: vec3u, columns: u32) -> u32 {
    return row_group_of(group, groups, local, columns) * INVOCATION_PIXELS;
}
