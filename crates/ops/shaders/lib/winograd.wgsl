// Winograd's minimal filtering with tiles of 6 x 6 values: along each axis, `outputs` results of a filter of 7 - outputs
// taps from 6 values with 6 products, y = A^T ((G g) * (B^T d)).
//
// The points at which polynomials are evaluated are 0, P, -P, Q, -Q and infinity. These P and Q keep the rounding error
// close to that of a direct sum, and the coefficients of B^T are exact in f32.
const TILE: u32 = 6u;
const POINTS: u32 = TILE * TILE;
const P: f32 = 0.625;
const Q: f32 = 1.5;
const P2: f32 = P * P;
const Q2: f32 = Q * Q;
const LANES: u32 = 16u;
const PANEL: u32 = 2u * LANES; // columns of a product's tile
const ROWS: u32 = 6u;          // rows of a product's tile

// A line of a tile, and of a filter or a tile of the result, which may be shorter.
struct Six { v0: f32, v1: f32, v2: f32, v3: f32, v4: f32, v5: f32 }
struct Five { v0: f32, v1: f32, v2: f32, v3: f32, v4: f32 }

// B^T d, of a line of the image.
fn of_image(d: Six) -> Six {
    let even_p = fma(-Q2, d.v2, d.v4);
    let odd_p = P * fma(-Q2, d.v1, d.v3);
    let even_q = fma(-P2, d.v2, d.v4);
    let odd_q = Q * fma(-P2, d.v1, d.v3);
    return Six(
        fma(P2 * Q2, d.v0, fma(-(P2 + Q2), d.v2, d.v4)),
        even_p + odd_p,
        even_p - odd_p,
        even_q + odd_q,
        even_q - odd_q,
        fma(P2 * Q2, d.v1, fma(-(P2 + Q2), d.v3, d.v5)),
    );
}

// G g, of a line of the filter: `length` taps, then zeros.
fn of_filter(g: Five, length: u32) -> Six {
    let even_p = fma(P2, fma(P2, g.v4, g.v2), g.v0);
    let odd_p = P * fma(P2, g.v3, g.v1);
    let even_q = fma(Q2, fma(Q2, g.v4, g.v2), g.v0);
    let odd_q = Q * fma(Q2, g.v3, g.v1);
    var last = g.v1;
    if length == 3u {
        last = g.v2;
    } else if length == 4u {
        last = g.v3;
    } else if length == 5u {
        last = g.v4;
    }
    return Six(
        g.v0 * (1.0 / (P2 * Q2)),
        (even_p + odd_p) * (1.0 / (2.0 * P2 * (P2 - Q2))),
        (even_p - odd_p) * (1.0 / (2.0 * P2 * (P2 - Q2))),
        (even_q + odd_q) * (1.0 / (2.0 * Q2 * (Q2 - P2))),
        (even_q - odd_q) * (1.0 / (2.0 * Q2 * (Q2 - P2))),
        last,
    );
}

// A^T m, of a line of products: `length` values of the result, then values without meaning.
fn of_products(m: Six, length: u32) -> Five {
    let even_p = m.v1 + m.v2;
    let odd_p = P * (m.v1 - m.v2);
    let even_q = m.v3 + m.v4;
    let odd_q = Q * (m.v3 - m.v4);
    var y = Five(
        m.v0 + even_p + even_q,
        odd_p + odd_q,
        fma(P2, even_p, Q2 * even_q),
        fma(P2, odd_p, Q2 * odd_q),
        fma(P2 * P2, even_p, (Q2 * Q2) * even_q) + m.v5,
    );
    if length == 2u {
        y.v1 += m.v5;
    } else if length == 3u {
        y.v2 += m.v5;
    } else if length == 4u {
        y.v3 += m.v5;
    }
    return y;
}
