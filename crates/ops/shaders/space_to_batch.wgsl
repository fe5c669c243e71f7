// y[n, p, q, h, w, c] = x[n, h*block_y + p - top, w*block_x + q - left, c], 0 outside; `gradient` puts the values back.
// One invocation moves one channel of 8 pixels.
#import channels

override channels: u32; // C
override height: u32;   // H, of the image
override width: u32;    // W
override rows: u32;     // h, of each of the block_y * block_x grids
override columns: u32;  // w
override block_y: u32;
override block_x: u32;
override top: u32;
override left: u32;

struct Params {
    pixels: u32, // of y for `forward`, of dx for `gradient`
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [N, H, W, C]
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // [N, block_y, block_x, h, w, C]
@group(0) @binding(2) var<storage, read> dy: array<f32>;       // [N, block_y, block_x, h, w, C]
@group(0) @binding(3) var<storage, read_write> dx: array<f32>; // [N, H, W, C]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let c = column_of(group, groups, local, channels);
    if c >= channels {
        return;
    }
    let first = first_pixel(group, groups, local, channels);
    let end = min(first + INVOCATION_PIXELS, params.pixels);
    for (var pixel = first; pixel < end; pixel++) {
        let grid = pixel / (rows * columns);
        let iy = pixel / columns % rows * block_y + grid / block_x % block_y - top; // wraps above the image
        let ix = pixel % columns * block_x + grid % block_x - left;
        var v = 0.0;
        if iy < height && ix < width {
            v = x[((grid / (block_y * block_x) * height + iy) * width + ix) * channels + c];
        }
        y[pixel * channels + c] = v;
    }
}

@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let c = column_of(group, groups, local, channels);
    if c >= channels {
        return;
    }
    let first = first_pixel(group, groups, local, channels);
    let end = min(first + INVOCATION_PIXELS, params.pixels);
    for (var pixel = first; pixel < end; pixel++) {
        let py = pixel / width % height + top;
        let px = pixel % width + left;
        let image = pixel / (height * width);
        var v = 0.0;
        if py / block_y < rows && px / block_x < columns {
            let grid = (image * block_y + py % block_y) * block_x + px % block_x;
            v = dy[((grid * rows + py / block_y) * columns + px / block_x) * channels + c];
        }
        dx[pixel * channels + c] = v;
    }
}
