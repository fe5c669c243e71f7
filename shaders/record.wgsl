// metrics[row] = (sum over n of loss[n], sum over n of hits[n]), where the step says which row.
// One workgroup: each invocation adds every 64th sample, then the first one adds the 64 sums, in order.
#import step

struct Params {
    samples: u32, // N
}

@group(0) @binding(0) var<storage, read> loss: array<f32>;            // [N]
@group(0) @binding(1) var<storage, read> hits: array<f32>;            // [N]
@group(0) @binding(2) var<storage, read_write> metrics: array<vec2f>; // [rows, 2]
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> sums: array<vec2f, 64>;

@compute @workgroup_size(64)
fn update(@builtin(local_invocation_index) local: u32) {
    var sum = vec2f();
    for (var n = local; n < params.samples; n += 64u) {
        sum += vec2f(loss[n], hits[n]);
    }
    sums[local] = sum;
    // The first invocation reads what the others wrote.
    workgroupBarrier();
    if local == 0u {
        var total = vec2f();
        for (var i = 0u; i < 64u; i++) {
            total += sums[i];
        }
        metrics[step.row] = total;
    }
}
