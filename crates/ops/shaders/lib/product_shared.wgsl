// Products of matrices by way of workgroup memory: how a workgroup loads a and b, and its sums over the inner axis. The
// importing file imports a tile: `shared_fma` or `shared_cooperative`.
#import product_quads

// Four steps of a row of a.
fn row_steps(row: u32, four: u32) -> vec4f {
    return a[min(row, params.rows - 1u) * params.a_stride + min(four, params.a_stride - 1u)];
}

// Four columns of a step of b. Lanes past the last column compute it once more.
fn step_columns(step: u32, quad: u32) -> vec4f {
    return b[min(step, params.inner - 1u) * params.b_stride + min(quad, params.b_stride - 1u)];
}

// The part of b that an invocation loads of the block of steps from k on, beside its part of a.
fn load_b(corner: vec2u, local: u32, k: u32, rows: Rows, rows_there: u32) -> Loaded {
    let quad = corner.x / 4u + loaded_quad(local);
    let step = vec4u(loaded_step(local, 0u), loaded_step(local, 1u), loaded_step(local, 2u), loaded_step(local, 3u)) + k;
    let there = rows_there | steps_there(step, params.inner);
    var loaded = Loaded(rows, step_columns(step.x, quad), step_columns(step.y, quad), vec4f(), vec4f(), there);
    if !narrow() {
        loaded.b2 = step_columns(step.z, quad);
        loaded.b3 = step_columns(step.w, quad);
    }
    return loaded;
}

fn load_nn(corner: vec2u, local: u32, k: u32) -> Loaded {
    let four = k / 4u + loaded_four(local);
    let row = corner.y;
    var rows = Rows();
    rows.r0 = row_steps(row + loaded_row(local, 0u), four);
    rows.r1 = row_steps(row + loaded_row(local, 1u), four);
    rows.r2 = row_steps(row + loaded_row(local, 2u), four);
    rows.r3 = row_steps(row + loaded_row(local, 3u), four);
    if narrow() {
        rows.r4 = row_steps(row + loaded_row(local, 4u), four);
        rows.r5 = row_steps(row + loaded_row(local, 5u), four);
        rows.r6 = row_steps(row + loaded_row(local, 6u), four);
        rows.r7 = row_steps(row + loaded_row(local, 7u), four);
    }
    return load_b(corner, local, k, rows, select(0u, ALL_OF_A, four < params.a_stride));
}

// The sums of steps from `first` up to `end` of one block of the inner axis.
fn block_sums(corner: vec2u, local: u32, first: u32, end: u32) -> Sums {
    var block = Sums();
    var loaded = load_nn(corner, local, first);
    for (var k = first; k < end; k += STEPS) {
        put_rows(loaded, local);
        workgroupBarrier();
        if k + STEPS < end {
            loaded = load_nn(corner, local, k + STEPS);
        }
        block = add_rows(block, local);
        workgroupBarrier();
    }
    return block;
}

// The sums of all steps, in blocks of the inner axis.
fn shared_sums(corner: vec2u, local: u32, first: u32, end: u32, start: Sums) -> Sums {
    var sums = start;
    var block = Sums();
    var loaded = load_nn(corner, local, first);
    for (var k = first; k < end; k += STEPS) {
        put_rows(loaded, local);
        workgroupBarrier();
        let after = k + STEPS;
        if after < end {
            loaded = load_nn(corner, local, after);
        }
        block = add_rows(block, local);
        workgroupBarrier();
        if after % BLOCK == 0u || after >= end {
            sums = plus_sums(sums, block);
            block = Sums();
        }
    }
    return sums;
}
