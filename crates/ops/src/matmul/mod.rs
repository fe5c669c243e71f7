//! `c[m, n] = bias[n] + sum over k of a[m, k] b[k, n]`, with a or b transposed.

mod columns;
mod quads;

use std::sync::Arc;

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType};

use self::columns::Product;
use crate::case::Case;
use crate::fused::{self, Epilogue, HasEpilogue};
use crate::pad::quads_fit;
use crate::sum::SumRows;
use crate::tiles::Tile;
use crate::transpose;

/// Matrix product: `(a [M, K], b [K, N], bias [N] if any) -> [M, N]`; transposed inputs are `[K, M]` or `[N, K]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Matmul {
    /// Whether `a` is `[K, M]`.
    pub transpose_a: bool,
    /// Whether `b` is `[N, K]`. Not with `transpose_a`.
    pub transpose_b: bool,
    /// Whether there is a bias.
    pub bias: bool,
}

impl Matmul {
    /// `[M, K, N]`.
    ///
    /// # Errors
    /// If the inputs do not match.
    fn sizes(&self, inputs: &[TensorType]) -> Result<[usize; 3]> {
        let count = if self.bias { 3 } else { 2 };
        let fit = || {
            if inputs.len() != count || inputs.iter().any(|ty| ty.dtype != DType::F32) {
                return None;
            }
            let sizes = self.fit(&inputs[0], &inputs[1])?;
            inputs.get(2).is_none_or(|bias| bias.shape.dims() == Some([sizes[2]])).then_some(sizes)
        };
        fit().ok_or_else(|| Error::inputs("matmul", self.expected(), inputs))
    }

    fn fit(&self, a: &TensorType, b: &TensorType) -> Option<[usize; 3]> {
        let (mut a, mut b): ([usize; 2], [usize; 2]) = (a.shape.dims()?, b.shape.dims()?);
        if self.transpose_a {
            a.reverse();
        }
        if self.transpose_b {
            b.reverse();
        }
        (a[1] == b[0] && !(self.transpose_a && self.transpose_b)).then_some([a[0], a[1], b[1]])
    }

    fn expected(&self) -> String {
        let a = if self.transpose_a { "[K, M]" } else { "[M, K]" };
        let b = if self.transpose_b { "[N, K]" } else { "[K, N]" };
        format!("f32 (a {a}, b {b}{}), not both transposed", if self.bias { ", bias [N]" } else { "" })
    }
}

impl Op for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.sizes(inputs).map(|[m, _, n]| vec![TensorType::f32([m, n])])
    }

    fn pieces(&self) -> Pieces {
        match self.transpose_a {
            true => Pieces::Whole,
            false => Pieces::SamplesOf(vec![0]),
        }
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.lower_with(lowering, Epilogue::Plain)
    }

    fn fuse(&self, next: &dyn Op, at: usize) -> Option<Arc<dyn Op>> {
        fused::fuse(self, next, at)
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        let Some(dc) = gradient.output_gradient(0) else { return Ok(()) };
        let (a, b) = (gradient.inputs()[0], gradient.inputs()[1]);
        let product = |transpose_a, transpose_b| Matmul { transpose_a, transpose_b, bias: false };
        if gradient.wants(0) {
            let da = match (self.transpose_a, self.transpose_b) {
                (true, _) => gradient.add(product(false, true), &[b, dc])?,
                (false, transposed) => gradient.add(product(false, !transposed), &[dc, b])?,
            };
            gradient.set(0, da);
        }
        if gradient.wants(1) {
            let db = match (self.transpose_a, self.transpose_b) {
                (_, true) => gradient.add(product(true, false), &[dc, a])?,
                (transposed, false) => gradient.add(product(!transposed, false), &[a, dc])?,
            };
            gradient.set(1, db);
        }
        if self.bias && gradient.wants(2) {
            let dbias = gradient.add(SumRows, &[dc])?;
            gradient.set(2, dbias);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let (a, b) = (inputs[0], inputs[1]);
        let [m, k, n] = self.fit(&a.ty, &b.ty).unwrap_or_default();
        let mut c = Array::zeros([m, n]);
        for row in 0..m {
            for column in 0..n {
                let terms = (0..k).map(|i| {
                    let at_a = if self.transpose_a { i * m + row } else { row * k + i };
                    let at_b = if self.transpose_b { column * k + i } else { i * n + column };
                    a.data[at_a] * b.data[at_b]
                });
                let bias = inputs.get(2).map_or(0.0, |bias| bias.data[column]);
                c.data[row * n + column] = bias + terms.sum::<f64>();
            }
        }
        vec![c]
    }
}

impl HasEpilogue for Matmul {
    fn arity(&self) -> usize {
        2 + usize::from(self.bias)
    }

    fn lower_with(&self, lowering: &mut Lowering, epilogue: Epilogue) -> Result<()> {
        let (a, b, c) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let [m, k, n] = self.sizes(&lowering.input_types()[..self.arity()])?;
        let bias = lowering.inputs().get(2).copied().filter(|_| self.bias);
        let fours = |n: usize| n.next_multiple_of(4);
        // a, b and their transposes.
        let fit = quads_fit(lowering, k, [m * fours(k), k * fours(m), k * fours(n), n * fours(k), m * n]);
        let sizes = [m, k, n];
        let tiles = self.layout(sizes).tiles(sizes, lowering.limits());
        let tile = Tile::choose(lowering, fit, &tiles);
        let [a, b] = tile.factors(lowering, [a, b]);
        if tile != Tile::Columns {
            self.push_quads(lowering, epilogue, [a, b], sizes, tile);
            return Ok(());
        }
        let b_is_large = lowering.ty(b).bytes() > lowering.limits().window_bytes();
        if self.transpose_a {
            Product { a, b, bias, c, epilogue, sizes: [m, k, n], strides: [n, 1] }.push_tn(lowering);
        } else if self.transpose_b && bias.is_none() && (m < n || b_is_large) {
            // c^T = b a^T, stored transposed, because a is smaller to transpose.
            let turned = lowering.scratch(TensorType::f32([k, m]));
            lowering.push(transpose::call(a, turned, [1, m, k]));
            Product { a: b, b: turned, bias, c, epilogue, sizes: [n, k, m], strides: [1, n] }.push_nn(lowering);
        } else {
            let mut b = b;
            if self.transpose_b {
                let turned = lowering.scratch(TensorType::f32([k, n]));
                lowering.push(transpose::call(b, turned, [1, n, k]));
                b = turned;
            }
            Product { a, b, bias, c, epilogue, sizes: [m, k, n], strides: [n, 1] }.push_nn(lowering);
        }
        Ok(())
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let sizes = [
        [1, 1, 1],
        [3, 5, 7],
        [33, 12, 40],
        [4, 257, 3],
        [3, 8, 257],
        [257, 3, 10],
        [65, 64, 36],
        [2, 1030, 9],
        [70, 513, 6],
        [1, 516, 10],
        [7, 1028, 33],
        [13, 515, 5],
    ];
    for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false)] {
        for [m, k, n] in sizes {
            let bias = k != 12;
            let a = Array::random(if transpose_a { [k, m] } else { [m, k] }, 1);
            let b = Array::random(if transpose_b { [n, k] } else { [k, n] }, 2);
            let inputs: Vec<Array> = [a, b].into_iter().chain(bias.then(|| Array::random([n], 3))).collect();
            let kind = match (transpose_a, transpose_b) {
                (true, _) => "tn",
                (_, true) => "nt",
                _ => "nn",
            };
            let differentiable: Vec<usize> = (0..inputs.len()).collect();
            let op = Matmul { transpose_a, transpose_b, bias };
            cases.push(Case::new(format!("matmul {kind} {m}x{k}x{n}"), op, inputs).differentiable(&differentiable));
        }
    }
    let [a, b] = [Array::random([3, 20], 1), Array::random([257, 20], 2)];
    let op = Matmul { transpose_b: true, ..Matmul::default() };
    cases.push(Case::new("matmul nt stored transposed", op, vec![a, b]).differentiable(&[0, 1]));
    cases
}
