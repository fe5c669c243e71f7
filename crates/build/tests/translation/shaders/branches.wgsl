// if and else with conditions that differ between lanes, nested, and returns in them.
@group(0) @binding(0) var<storage, read> i_a: array<i32>;
@group(0) @binding(1) var<storage, read_write> i_out: array<i32>;

fn grade(x: i32) -> i32 {
    if x < -1000 { return 1; }
    if x < 0 {
        if x == -1 { return 2; }
        return 3;
    } else if x == 0 {
        return 4;
    } else {
        if x > 1000000 { return x / 3; }
    }
    return x % 100;
}

fn all_return(x: i32) -> i32 {
    if x % 2 == 0 {
        return x / 2;
    } else if x % 3 == 0 {
        return x / 3;
    } else {
        return -x;
    }
}

fn write(at: u32, x: i32) {
    if x < 0 { return; }
    i_out[at] = x % 1000;
    if x % 2 == 0 {
        i_out[at] += 5000;
        if x % 4 == 0 { return; }
        i_out[at] += 7;
    } else {
        if x % 3 != 0 {
            i_out[at] *= 2;
        } else {
            return;
        }
    }
    i_out[at] += 1;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
    let at = id.x;
    let x = i_a[at];
    var r = 0;
    if x > 5 {
        r = 1;
        if x > 100 { r += 10; } else if x > 20 { r += 20; } else { r += 30; }
    } else if x < -5 {
        r = 2;
    } else {
        r = 3;
    }
    i_out[at] = r;
    i_out[at + 192u] = grade(x);
    i_out[at + 384u] = grade(i_a[group.x]) + all_return(x) - all_return(i_a[group.x + 2u]);
    write(at + 576u, x);
    write(at + 768u, i_a[group.x + 3u]);
    if group.x == 1u {
        if at % 2u == 0u { return; }
        i_out[at + 960u] = 5;
    }
    if x > 0 {
        return;
    }
    i_out[at + 1152u] = r + 1;
}
