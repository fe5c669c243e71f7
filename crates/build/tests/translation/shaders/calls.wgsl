// Functions: pointers to scalars, vectors and arrays; stores under masks; one function for varying and uniform arguments.
@group(0) @binding(0) var<storage, read> f_a: array<f32>;
@group(0) @binding(1) var<storage, read> u_a: array<u32>;
@group(0) @binding(2) var<storage, read_write> f_out: array<f32>;

fn grow(total: ptr<function, f32>, by: f32) {
    if by < 0.0 { return; }
    *total += by;
}

fn turn(v: ptr<function, vec3f>, k: u32) {
    let x = (*v).x;
    (*v).x = (*v).y;
    (*v)[1] = x;
    (*v)[k] += 10.0;
}

fn fill(a: ptr<function, array<f32, 4>>, first: f32, n: u32) -> f32 {
    for (var i = 0u; i < 4u; i++) {
        if i == n { continue; }
        (*a)[i] = first + f32(i);
    }
    (*a)[n] *= 2.0;
    return (*a)[1];
}

fn through(total: ptr<function, f32>, by: f32) -> f32 {
    grow(total, by * 2.0);
    grow(total, *total);
    return *total;
}

fn put(at: u32, value: f32) {
    f_out[at] = value;
}

fn squares(x: f32, y: f32) -> f32 {
    return x * x + y;
}

fn count(at: ptr<function, u32>) -> u32 {
    *at += 1u;
    return *at * 100u;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
    let at = id.x;
    let n = u_a[group.x] % 3u;
    let k = u_a[at] % 3u;
    var total = 1.0;
    grow(&total, f_a[at]);
    grow(&total, total * 0.5);
    grow(&total, total);
    var same = 2.0;
    grow(&same, f_a[group.x]);
    f_out[at] = total + same;
    if k == 1u {
        grow(&total, 7.0);
        grow(&same, 5.0);
        put(at + 192u, total);
        put(group.x + 384u, 4.0);
    } else if n == 0u {
        put(at + 192u, same);
    }
    f_out[at + 576u] = total * 100.0 + same;
    var v = vec3f(1.0, 2.0, f_a[at]);
    turn(&v, k);
    turn(&v, n);
    var w = vec3f(1.0, 2.0, 3.0);
    turn(&w, n);
    f_out[at + 768u] = v.x + 2.0 * v.y + 4.0 * v.z + w.x * w.y - w.z;
    var a: array<f32, 4>;
    let first = fill(&a, f_a[at], k);
    var b: array<f32, 4>;
    let second = fill(&b, 3.0, n);
    if k == 2u {
        fill(&b, 1.0, n);
    }
    f_out[at + 960u] = first + second * 10.0 + a[0] + a[3] + b[k];
    f_out[at + 1152u] = through(&total, 1.0) + squares(f_a[at], 2.0) * squares(3.0, f_a[group.x]) + squares(2.0, f_a[at]);
    var c = 3u;
    let one = count(&c);
    let two = count(&c) + count(&c);
    f_out[at + 1344u] = f32(one + two * 3u + c);
    let kept = total;
    total = 0.0;
    f_out[at + 1536u] = squares(kept, total) + kept;
}
