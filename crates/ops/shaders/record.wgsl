// metrics[row, first + i] = sum over n of figure i of sample n, where the row is the step's.
// One workgroup: each invocation sums every 64th sample, then the first one adds the 64 sums, in order. Of the four tensors
// `count` are used; the others are bound to the first and not read.
#import step

override count: u32; // figures, 1 to 4

struct Params {
    samples: u32, // N
    columns: u32, // of the metrics
    first: u32,   // the column of the first figure
}

@group(0) @binding(0) var<storage, read> a: array<f32>;             // [N]
@group(0) @binding(1) var<storage, read> b: array<f32>;             // [N]
@group(0) @binding(2) var<storage, read> c: array<f32>;             // [N]
@group(0) @binding(3) var<storage, read> d: array<f32>;             // [N]
@group(0) @binding(4) var<storage, read_write> metrics: array<f32>; // [rows, columns]
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> sums: array<vec4f, 64>;

@compute @workgroup_size(64)
fn update(@builtin(local_invocation_index) local: u32) {
    var sum = vec4f();
    for (var n = local; n < params.samples; n += 64u) {
        sum.x += a[n];
        if count > 1u {
            sum.y += b[n];
        }
        if count > 2u {
            sum.z += c[n];
        }
        if count > 3u {
            sum.w += d[n];
        }
    }
    sums[local] = sum;
    // The first invocation reads the values of the others.
    workgroupBarrier();
    if local == 0u {
        var total = vec4f();
        for (var i = 0u; i < 64u; i++) {
            total += sums[i];
        }
        for (var i = 0u; i < count; i++) {
            metrics[step.row * params.columns + params.first + i] = total[i];
        }
    }
}
