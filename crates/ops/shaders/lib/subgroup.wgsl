// The tile in quads with shared loads: 8 adjacent invocations compute the same 8 rows of the result, each another quad
// of columns. Each loads one of the rows (or one of 8 steps) and broadcasts it to the others: 5 loads for 128
// multiply-adds. Needs subgroups of at least 8. The order of additions is that of the other tiles.
#import quads

const SHUFFLE_WIDTH: u32 = 8u;       // invocations that hand on to each other
const SUBGROUP_ROWS: u32 = 64u;    // of a workgroup
const SUBGROUP_COLUMNS: u32 = 32u;

// Whether a subgroup has no other invocations, so that broadcasts have constant sources.
override subgroups_of_8: bool;

// An invocation's index among the 8, and the first of them in its subgroup.
struct Lane { place: u32, first: u32 }

fn lane(in_subgroup: u32) -> Lane {
    return Lane(in_subgroup % SHUFFLE_WIDTH, in_subgroup - in_subgroup % SHUFFLE_WIDTH);
}

// The first column and the first row of an invocation, with tiles of rows along y, wrapping to z.
fn subgroup_corner(group: vec3u, groups: vec3u, local: u32) -> vec2u {
    let row = (group.z * groups.y + group.y) * SUBGROUP_ROWS + local / SHUFFLE_WIDTH * ROWS;
    return vec2u(group.x * SUBGROUP_COLUMNS + local % SHUFFLE_WIDTH * 4u, row);
}

// The values of the 8 invocations.
fn handed(v: vec4f, lane: Lane) -> Rows {
    if subgroups_of_8 {
        return Rows(
            subgroupBroadcast(v, 0u),
            subgroupBroadcast(v, 1u),
            subgroupBroadcast(v, 2u),
            subgroupBroadcast(v, 3u),
            subgroupBroadcast(v, 4u),
            subgroupBroadcast(v, 5u),
            subgroupBroadcast(v, 6u),
            subgroupBroadcast(v, 7u),
        );
    }
    return Rows(
        subgroupShuffle(v, lane.first),
        subgroupShuffle(v, lane.first + 1u),
        subgroupShuffle(v, lane.first + 2u),
        subgroupShuffle(v, lane.first + 3u),
        subgroupShuffle(v, lane.first + 4u),
        subgroupShuffle(v, lane.first + 5u),
        subgroupShuffle(v, lane.first + 6u),
        subgroupShuffle(v, lane.first + 7u),
    );
}

// Eight steps along the inner axis: each invocation has the rows of one, in two quads.
fn add_eight_steps(upper: vec4f, lower: vec4f, lane: Lane, b: Rows, sums: Rows) -> Rows {
    let u = handed(upper, lane);
    let l = handed(lower, lane);
    var s = add_step(u.r0, l.r0, b.r0, sums);
    s = add_step(u.r1, l.r1, b.r1, s);
    s = add_step(u.r2, l.r2, b.r2, s);
    s = add_step(u.r3, l.r3, b.r3, s);
    s = add_step(u.r4, l.r4, b.r4, s);
    s = add_step(u.r5, l.r5, b.r5, s);
    s = add_step(u.r6, l.r6, b.r6, s);
    return add_step(u.r7, l.r7, b.r7, s);
}
