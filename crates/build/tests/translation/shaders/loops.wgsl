// Loops that lanes exit in different iterations: for, while, loop with continuing and break if; break, continue and return.
@group(0) @binding(0) var<storage, read> u_a: array<u32>;
@group(0) @binding(1) var<storage, read_write> u_out: array<u32>;

fn find(first: u32, wanted: u32) -> u32 {
    for (var row = first; row < first + 6u; row++) {
        for (var column = 0u; column < 5u; column++) {
            if (u_a[row * 5u + column] % 16u) == wanted { return row * 100u + column; }
            if column > row { break; }
        }
        if row % 7u == 6u { continue; }
        if row % 11u == 10u { return 7u; }
    }
    return 9999u;
}

fn collatz(start: u32) -> u32 {
    var n = start;
    var steps = 0u;
    loop {
        if n == 1u { break; }
        if n % 2u == 0u {
            n /= 2u;
            continue;
        }
        n = 3u * n + 1u;
        continuing {
            steps += 1u;
            break if steps > 40u;
        }
    }
    return steps * 1000u + n % 1000u;
}

fn sum_of_some(n: u32, shared_by_lanes: u32) -> u32 {
    var sum = 0u;
    for (var k = 0u; k < n; k++) {
        if k == shared_by_lanes { continue; }
        if k % 3u == 1u { continue; }
        sum += k * k;
        if sum > 500u { break; }
        sum += shared_by_lanes;
    }
    return sum;
}

fn lets_in_continuing(n: u32) -> u32 {
    var i = 0u;
    var sum = 0u;
    loop {
        let step = 1u + (i + n) % 3u;
        if sum > 300u { break; }
        let twice = step * 2u;
        if (i + step) % 4u == 0u { continue; }
        sum += i;
        continuing {
            i += step;
            sum += twice;
            break if i > n + twice;
        }
    }
    return sum * 100u + i;
}

fn inner_only(n: u32) -> u32 {
    var count = 0u;
    for (var i = 0u; i < 4u; i++) {
        var j = 0u;
        while true {
            if j >= n { break; }
            if j == i + 3u { break; }
            j += 1u;
            if j % 2u == 0u { continue; }
            count += 10u;
        }
        count += j;
        var fresh: u32;
        fresh += i;
        count += fresh * 1000u;
    }
    return count;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
    let at = id.x;
    let n = u_a[at] % 20u;
    let m = u_a[group.x] % 20u;
    u_out[at] = find(at % 40u, n % 16u);
    u_out[at + 192u] = find(group.x, m % 16u);
    u_out[at + 384u] = collatz(n + 1u);
    u_out[at + 576u] = collatz(m + 1u);
    u_out[at + 768u] = sum_of_some(n, m % 4u) + 1000u * sum_of_some(m, m % 4u) + sum_of_some(m, n % 4u);
    u_out[at + 960u] = lets_in_continuing(n);
    u_out[at + 1152u] = lets_in_continuing(m);
    u_out[at + 1344u] = inner_only(n);
    u_out[at + 1536u] = inner_only(m);
    var left = n;
    while left > 3u {
        left -= 3u;
        u_out[at + 1728u] = left;
        if m == 7u { break; }
    }
    for (var i = 0u; i < m; i++) {
        if i == n { return; }
        u_out[at + 1920u] = i;
    }
    loop {
        left += 1u;
        if m > 10u && left > 5u { break; }
        if left > 12u { break; }
    }
    u_out[at + 2112u] = left;
    loop {
        if n > 6u { return; }
        if m < 30u { break; }
    }
    u_out[at + 2304u] = 1u;
}
