// A product of one row of a by four columns of b, block by block of the inner axis.
#import product_steps

// The sums of one block of the inner axis, from `first` on, for one row.
fn block_of_row(row: u32, right: u32, first: u32) -> vec4f {
    let from_a = row * params.a_stride;
    let end = min(first + BLOCK, params.inner);
    var sum = vec4f();
    for (var k = first; k < end; k += 4u) {
        let steps = four_steps(k, right);
        sum = multiply_add_quads(a[from_a + k / 4u], steps.b0, steps.b1, steps.b2, steps.b3, sum);
    }
    return sum;
}
