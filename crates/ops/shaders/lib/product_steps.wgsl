// Shared by matrix products without workgroup memory: four steps of the inner axis at once.
#import product_quads

// Four rows of b from row k on, of one quad of columns.
struct FourSteps { b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f }

fn four_steps(k: u32, right: u32) -> FourSteps {
    let bottom = params.inner - 1u;
    var four = FourSteps(
        b[k * params.b_stride + right],
        b[min(k + 1u, bottom) * params.b_stride + right],
        b[min(k + 2u, bottom) * params.b_stride + right],
        b[min(k + 3u, bottom) * params.b_stride + right],
    );
    if k + 3u > bottom {
        four.b1 = or_zero(four.b1, k + 1u <= bottom);
        four.b2 = or_zero(four.b2, k + 2u <= bottom);
        four.b3 = vec4f();
    }
    return four;
}

// The quad of a column. Lanes past the last column compute it once more.
fn quad_of(column: u32) -> u32 {
    return min(column / 4u, params.b_stride - 1u);
}
