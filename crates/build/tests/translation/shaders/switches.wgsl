// switch: several labels, the default in the middle, within loops, with varying and uniform selectors.
@group(0) @binding(0) var<storage, read> u_a: array<u32>;
@group(0) @binding(1) var<storage, read> i_a: array<i32>;
@group(0) @binding(2) var<storage, read_write> u_out: array<u32>;

fn unsigned(x: u32) -> u32 {
    var r = 5u;
    switch x {
        case 0u, 3u: { r = 10u; }
        case 1u: {
            r += 7u;
            if r == 12u { r = 20u; }
        }
        default: { r = 30u + x; }
        case 4u, 5u, 6u: { r *= 2u; }
    }
    return r;
}

fn signed_with_returns(x: i32) -> u32 {
    switch x {
        case -1: { return 1u; }
        case 0, default: { }
        case 1: {
            switch x * 2 {
                case 2: { return 3u; }
                default: { return 4u; }
            }
        }
        case -2147483648: { return 2u; }
    }
    return 9u;
}

fn with_trailing_breaks(x: u32) -> u32 {
    var r = 0u;
    switch x {
        case 1u: { r = 3u; break; }
        case 2u: {
            if r == 0u { r = 4u; break; } else { r = 5u; }
        }
        default: { r = 6u; break; }
    }
    return r;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
    let at = id.x;
    let x = u_a[at] % 9u;
    let y = u_a[group.x] % 9u;
    u_out[at] = unsigned(x) + 1000u * unsigned(y);
    u_out[at + 192u] = signed_with_returns(i_a[at]) + 100u * signed_with_returns(i_a[group.x]);
    u_out[at + 384u] = with_trailing_breaks(x % 4u) + 10u * with_trailing_breaks(y % 4u);
    var sum = 0u;
    for (var k = 0u; k < 12u; k++) {
        switch (k + x) % 6u {
            case 0u: { continue; }
            case 1u, 2u: { sum += 10u; }
            case 3u: {
                if k > 5u { continue; }
                sum += 100u;
            }
            default: { sum += 1u; }
        }
        switch k {
            case 3u: {
                sum += 5u;
                if y > 3u { break; }
                sum += 1000u;
            }
            case 4u: { continue; }
            case 7u: {
                if x == 2u { u_out[at + 576u] = sum; return; }
            }
            default: { sum += 2u; }
        }
        sum += 1u;
        if sum > 700u { break; }
    }
    u_out[at + 576u] = sum;
    loop {
        switch x {
            case 1u: { return; }
            default: { sum = 3u; }
        }
        break;
    }
    u_out[at + 768u] = sum;
}
