// Workgroup memory and barriers: in loops, after returns of whole workgroups, with values that live across them.
@group(0) @binding(0) var<storage, read> f_a: array<f32>;
@group(0) @binding(1) var<storage, read> f_b: array<f32>;
@group(0) @binding(2) var<storage, read> u_a: array<u32>;
@group(0) @binding(3) var<storage, read_write> f_out: array<f32>;
var<workgroup> sums: array<f32, 256>;
var<workgroup> tile_a: array<array<f32, 16>, 16>;
var<workgroup> tile_b: array<array<f32, 16>, 16>;
var<workgroup> block: array<vec2f, 64>;
var<workgroup> total: f32;

fn tree(index: u32, stride: u32) {
    if index < stride { sums[index] += sums[index + stride]; }
}

// f_out[group] = the sum of 256 elements of f_a
@compute @workgroup_size(256)
fn sum(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u) {
    sums[index] = f_a[id.x];
    workgroupBarrier();
    for (var stride = 128u; stride > 0u; stride >>= 1u) {
        tree(index, stride);
        workgroupBarrier();
    }
    if index == 0u { f_out[group.x] = sums[0]; }
}

// f_out[row, column] = f_a[row, k] f_b[k, column] over 3 tiles of 16
@compute @workgroup_size(16, 16)
fn matmul(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
    let row = group.y * 16u + local.y;
    let column = group.x * 16u + local.x;
    var dot = 0.0;
    for (var k = 0u; k < 48u; k += 16u) {
        tile_a[local.y][local.x] = f_a[row * 48u + k + local.x];
        tile_b[local.y][local.x] = f_b[(k + local.y) * 32u + column];
        workgroupBarrier();
        for (var i = 0u; i < 16u; i++) { dot += tile_a[local.y][i] * tile_b[i][local.x]; }
        workgroupBarrier();
    }
    f_out[row * 32u + column] = dot;
}

// A sum that is read and written between two barriers of a loop only, and kept from one iteration to the next.
@compute @workgroup_size(64)
fn carry(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
    var carried = 0.0;
    for (var i = 0u; i < 4u; i++) {
        sums[local.x] = f_a[i * 64u + local.x];
        workgroupBarrier();
        carried = carried * 2.0 + sums[63u - local.x];
        if i == 3u { f_out[group.x * 64u + local.x] = carried; }
        workgroupBarrier();
    }
}

// Exchanges x, y and z of an invocation index through workgroup memory.
@compute @workgroup_size(4, 8, 2)
fn exchange(@builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u) {
    let mine = f_a[group.x * 64u + index];
    var kept = mine * 2.0;
    block[index] = vec2f(mine, f32(index));
    workgroupBarrier();
    let other = block[local.z + 2u * local.x + 8u * local.y];
    kept += other.y;
    workgroupBarrier();
    block[63u - index].x = other.x + mine;
    workgroupBarrier();
    f_out[group.x * 64u + index] = block[index].x + kept * 100.0;
    if local.y == 3u { return; }
    f_out[group.x * 64u + index + 512u] = mine;
}

// Whole workgroups return before a barrier; loops end early for whole workgroups.
@compute @workgroup_size(20)
fn early(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
    if group.x == 1u { return; }
    var at = local.x;
    var steps = 0u;
    var pair = vec2f(0.0);
    sums[local.x] = f_a[id.x];
    loop {
        workgroupBarrier();
        let neighbour = sums[(local.x + 1u) % 20u];
        workgroupBarrier();
        if local.x % 3u != 0u { sums[local.x] = neighbour; }
        steps += 1u;
        if steps == 2u { continue; }
        if steps > 3u + group.x { break; }
        pair.x += neighbour;
        at += steps;
    }
    if group.x == 2u {
        workgroupBarrier();
        sums[local.x] = 1.0;
        workgroupBarrier();
        pair.y = sums[19u - local.x];
    } else {
        pair.y = 5.0;
    }
    var k = 0u;
    while k < 4u {
        storageBarrier();
        workgroupBarrier();
        sums[local.x] += f32(k);
        workgroupBarrier();
        if k == group.x {
            f_out[id.x + 1000u] = sums[(local.x + 7u) % 20u];
            return;
        }
        k += 1u;
    }
    f_out[id.x] = sums[local.x] + pair.x + pair.y * 10.0 + f32(at);
}

// One element for all, varying conditions between barriers, local arrays that live across them.
@compute @workgroup_size(24)
fn shared_by_all(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_id) local: vec3u) {
    var mine = array<f32, 3>(1.0, 2.0, 3.0);
    let n = u_a[id.x] % 3u;
    let positive = f_a[id.x] > 0.0;
    let number = id.x + 5u;
    mine[n] = f_a[id.x];
    if local.x == 0u { total = f_a[id.x + 3u]; }
    workgroupBarrier();
    if positive {
        mine[0] += total;
        for (var i = 0u; i < n; i++) { mine[2] += 1.0; }
    }
    workgroupBarrier();
    if local.x == 23u { total += 1.0; }
    workgroupBarrier();
    f_out[id.x] = mine[0] + mine[1] * 2.0 + mine[n] * 4.0 + total;
    if positive && local.x > 2u { f_out[number + 300u] = f_a[number]; }
}
