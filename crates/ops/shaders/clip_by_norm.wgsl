// x = x limit / max(norm, limit), norm = sqrt(sum of x^2).
// `squares`: a workgroup sums the squares of 64 rows of 256 elements, by column. `total`: one workgroup sums all columns
// of all workgroups, in order. `scale`: one invocation scales one element.
#import linear
#import long_sum
#import nan

const ROWS: u32 = 64u; // summed by one invocation of `squares`

struct Params {
    count: u32, // elements of `source`: x, or partial sums
    limit: f32,
}

@group(0) @binding(0) var<storage, read> source: array<f32>;        // [count]
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;    // [workgroups, 256], or [1]
@group(0) @binding(2) var<storage, read> squared_norm: array<f32>;  // [1]
@group(0) @binding(3) var<storage, read_write> x: array<f32>;       // [count]
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> columns: array<f32, 256>;

@compute @workgroup_size(256)
fn squares(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let index = group.y * groups.x + group.x;
    let first = index * ROWS * 256u + local;
    var sum = 0.0;
    for (var row = 0u; row < ROWS; row++) {
        let i = first + row * 256u;
        if i < params.count {
            sum += source[i] * source[i];
        }
    }
    if index * ROWS * 256u < params.count {
        sums[index * 256u + local] = sum;
    }
}

@compute @workgroup_size(256)
fn total(@builtin(local_invocation_index) local: u32) {
    var sums_of_blocks = vec4f();
    var row = 0u;
    let rows = params.count / 256u; // written by whole workgroups
    for (var block = 0u; row < rows; block++) {
        let end = min(row + TERMS, rows);
        var part = 0.0;
        for (; row < end; row++) {
            part += source[row * 256u + local];
        }
        sums_of_blocks = add_block(sums_of_blocks, part, block);
    }
    columns[local] = sum_of_blocks(sums_of_blocks);
    // The first invocation reads the values of the others.
    workgroupBarrier();
    if local == 0u {
        var all = 0.0;
        for (var i = 0u; i < 256u; i++) {
            all += columns[i];
        }
        sums[0] = all;
    }
}

@compute @workgroup_size(256)
fn scale(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        x[i] = x[i] * params.limit / max_or_nan(sqrt(squared_norm[0]), params.limit);
    }
}
