// Blocks of the inner axis of a product in parallel, along z: where their sums are stored.
#import product_quads

@group(0) @binding(6) var<storage, read> partial: array<f32>; // [blocks, M, N]; `tiles` and `single` write it as c

fn store_partial(block: u32, row: u32, column: u32, value: vec4f) {
    if row < params.rows {
        let at = (block * params.rows + row) * params.columns + column;
        for (var i = 0u; i < 4u; i++) {
            if column + i < params.columns {
                c[at + i] = value[i];
            }
        }
    }
}
