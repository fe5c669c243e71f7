// transformed[p, k / 32, c, k % 32] = (G g G^T)[p] for the filter g of channel c and column k
// One invocation transforms the filters of one channel and two columns: first their columns, then their rows.
#import winograd

override depth: u32;    // C, channels of the source
override columns: u32;  // K, channels of the result
override taps: u32;     // R, the filter's height and width: 3 or 5
override flipped: bool; // whether the filter is rotated by 180 degrees, as for the gradient of the image

@group(0) @binding(0) var<storage, read> weights: array<f32>;                 // [R, R, C, K]
@group(0) @binding(1) var<storage, read_write> transformed: array<f32>;       // [36, K / 32, C, 32], K padded

const CHANNELS: u32 = 4u; // of a workgroup

fn tap(r: u32, s: u32, channel: u32, column: u32) -> f32 {
    let last = taps - 1u;
    let at = select(r * taps + s, (last - r) * taps + last - s, flipped);
    return weights[(at * depth + channel) * columns + column];
}

// Column s of the filter, 0 after its last tap.
fn filter_column(s: u32, channel: u32, column: u32) -> Five {
    var g = Five(tap(0u, s, channel, column), tap(1u, s, channel, column), tap(2u, s, channel, column), 0.0, 0.0);
    if taps == 5u {
        g.v3 = tap(3u, s, channel, column);
        g.v4 = tap(4u, s, channel, column);
    }
    return g;
}

fn store(at: u32, step: u32, line: Six) {
    transformed[at] = line.v0;
    transformed[at + step] = line.v1;
    transformed[at + 2u * step] = line.v2;
    transformed[at + 3u * step] = line.v3;
    transformed[at + 4u * step] = line.v4;
    transformed[at + 5u * step] = line.v5;
}

@compute @workgroup_size(LANES, CHANNELS)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let channel = group.y * CHANNELS + local.y;
    if channel >= depth {
        return;
    }
    let point = (columns + PANEL - 1u) / PANEL * depth * PANEL;
    for (var side = 0u; side < PANEL; side += LANES) {
        let column = group.x * PANEL + side + local.x;
        let to = (group.x * depth + channel) * PANEL + side + local.x;
        for (var s = 0u; s < taps; s++) {
            store(to + s * point, TILE * point, of_filter(filter_column(s, channel, column), taps));
        }
        for (var i = 0u; i < TILE; i++) {
            let start = to + i * TILE * point;
            var g = Five(transformed[start], transformed[start + point], transformed[start + 2u * point], 0.0, 0.0);
            if taps == 5u {
                g.v3 = transformed[start + 3u * point];
                g.v4 = transformed[start + 4u * point];
            }
            store(start, point, of_filter(g, taps));
        }
    }
}
