//! `c[m, n] = bias[n] + sum over k of a[m, k] b[k, n]`, with a or b transposed.

use std::sync::Arc;

use kiln_graph::{Array, DType, Error, Gradient, Kernel, Lowering, Op, Pieces, Result, Step, Tensor, TensorType, Window};

use crate::case::Case;
use crate::fused::{self, Epilogue, Finishes};
use crate::kernels::{matmul as kernel, matmul_quads as quads, matmul_subgroup as subgroup};
use crate::pad::{in_fours, quads_fit, transposed_in_fours};
use crate::sum::SumRows;
use crate::tiles::{Tile, quad_tiles, shared_tiles, single_tiles, subgroup_tiles, subgroups_of_8, tiles};
use crate::transpose;

/// Matrix product: `(a [M, K], b [K, N], bias [N] if any) -> [M, N]`; a transposed one is given as `[K, M]` or `[N, K]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Matmul {
    /// Whether `a` is given as `[K, M]`.
    pub transpose_a: bool,
    /// Whether `b` is given as `[N, K]`. Not together with `transpose_a`.
    pub transpose_b: bool,
    /// Whether there is a bias.
    pub bias: bool,
}

impl Matmul {
    /// `[M, K, N]`.
    ///
    /// # Errors
    /// When the inputs do not fit.
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

/// The rows of a window of c are a multiple of this, so that it starts where every device can bind, transposed or not.
const ROWS: usize = 64;

/// A product over windows of c's rows and, within each, of the rows of b, where sums go on from what c holds.
struct Product {
    a: Tensor,
    b: Tensor,
    bias: Option<Tensor>,
    c: Tensor,
    epilogue: Epilogue,
    /// `[M, K, N]`
    sizes: [usize; 3],
    /// From one row and from one column of c to the next, in elements.
    strides: [usize; 2],
}

impl Product {
    /// The kernel's parameters for so many `[rows, inner, columns]`. `a` has `stride` elements a row, of which the
    /// first that counts is `first`.
    fn params(&self, sizes: [usize; 3], first: usize, stride: usize) -> kernel::Params {
        let [rows, inner, columns] = sizes.map(|n| n as u32);
        let [row_stride, column_stride, first, stride] =
            [self.strides[0], self.strides[1], first, stride].map(|n| n as u32);
        kernel::Params { rows, inner, columns, row_stride, column_stride, first, stride }
    }

    /// Pushes the calls for `a [M, K]`.
    fn push_nn(&self, lowering: &mut Lowering) {
        let Product { a, b, bias, c, epilogue, sizes: [m, k, n], strides } = *self;
        let in_fours = k.is_multiple_of(4);
        let step = if in_fours { 4 } else { 1 };
        for Window { units, parts: [a] } in lowering.windows(m.div_ceil(ROWS), [(a, ROWS * k)]) {
            let (first, rows) = (units.start * ROWS * strides[0], m.min(units.end * ROWS) - units.start * ROWS);
            let mut part = |tensor| lowering.part(tensor, first, [m * n - first]);
            let (c, epilogue) = (part(c), epilogue.map_gates(part));
            for Window { units, parts: [b] } in lowering.windows(k / step, [(b, step * n)]) {
                let (first, sizes) = (units.start * step, [rows, units.len() * step, n]);
                let (continues, ends) = (first > 0, units.end * step == k);
                let epilogue = if ends { epilogue } else { Epilogue::Plain };
                let overrides = overrides(bias, in_fours, continues, epilogue);
                let tensors = kernel::Nn { a, b, bias: bias.unwrap_or(b), gates: epilogue.gates(b), c };
                let call = tensors.call(self.params(sizes, first, k), overrides, tiles(rows, n));
                lowering.push(call.flops(2 * sizes.iter().product::<usize>()));
            }
        }
    }

    /// Pushes the calls for `a [K, M]`.
    fn push_tn(&self, lowering: &mut Lowering) {
        let Product { a, b, bias, c, epilogue, sizes: [m, k, n], .. } = *self;
        let in_fours = m.is_multiple_of(4);
        // Gates lie as c does; without any, c itself stands for them and is not bound as such.
        let cut = [c, epilogue.gates(c)].map(|tensor| (tensor, ROWS * n));
        for Window { units, parts: [c, gates] } in lowering.windows(m.div_ceil(ROWS), cut) {
            let (first, rows) = (units.start * ROWS, m.min(units.end * ROWS) - units.start * ROWS);
            let epilogue = epilogue.map_gates(|_| gates);
            for Window { units, parts: [a, b] } in lowering.windows(k, [(a, m), (b, n)]) {
                let (continues, sizes) = (units.start > 0, [rows, units.len(), n]);
                let epilogue = if units.end == k { epilogue } else { Epilogue::Plain };
                let overrides = overrides(bias, in_fours, continues, epilogue);
                let tensors = kernel::Tn { a, b, bias: bias.unwrap_or(b), gates: epilogue.gates(b), c };
                let call = tensors.call(self.params(sizes, first, m), overrides, tiles(rows, n));
                lowering.push(call.flops(2 * sizes.iter().product::<usize>()));
            }
        }
    }
}

impl Matmul {
    /// What the kernels compute for `c [M, N]`.
    fn layout(&self, [m, _, n]: [usize; 3]) -> Layout {
        match (self.transpose_a, self.transpose_b) {
            (true, _) => Layout::Tn,
            (_, true) if !self.bias && m < n => Layout::NnOfTransposed,
            _ => Layout::Nn,
        }
    }

    /// Pushes the calls of a tile in which four neighbouring values are loaded at once.
    fn push_quads(&self, lowering: &mut Lowering, epilogue: Epilogue, sizes: [usize; 3], tile: Tile) {
        let (a, b, c) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let bias = if self.bias { lowering.inputs()[2] } else { a };
        let gates = epilogue.gates(a);
        let [m, k, n] = sizes;
        let (a, b, [rows, columns], length_of_a, strides) = match self.layout(sizes) {
            Layout::Tn => (in_fours(lowering, a, [1, k, m]), in_fours(lowering, b, [1, k, n]), [m, n], m, [n, 1]),
            Layout::NnOfTransposed => {
                let turned = transposed_in_fours(lowering, a, [1, k, m]);
                (in_fours(lowering, b, [1, n, k]), turned, [n, m], k, [1, n])
            }
            Layout::Nn => {
                let a = in_fours(lowering, a, [1, m, k]);
                let b = match self.transpose_b {
                    true => transposed_in_fours(lowering, b, [1, k, n]),
                    false => in_fours(lowering, b, [1, k, n]),
                };
                (a, b, [m, n], k, [n, 1])
            }
        };
        let params = quads::Params {
            rows: rows as u32,
            inner: k as u32,
            columns: columns as u32,
            a_stride: length_of_a.div_ceil(4) as u32,
            b_stride: columns.div_ceil(4) as u32,
            row_stride: strides[0] as u32,
            column_stride: strides[1] as u32,
        };
        let spread = match tile {
            Tile::Single => single_tiles(rows, columns),
            _ => quad_tiles(rows, columns),
        };
        let overrides = quads::Overrides { lanes: spread.lanes, has_bias: self.bias, epilogue: epilogue.code() };
        let shared = shared_tiles(rows, columns);
        let call = match (tile, self.transpose_a) {
            (Tile::Subgroup, transposed) => {
                let quads::Params { rows, inner, columns, a_stride, b_stride, row_stride, column_stride } = params;
                let tiles = subgroup_tiles(rows as usize, columns as usize);
                let params =
                    subgroup::Params { rows, inner, columns, a_stride, b_stride, row_stride, column_stride };
                let overrides = subgroup::Overrides {
                    lanes: 0,
                    has_bias: self.bias,
                    epilogue: epilogue.code(),
                    subgroups_of_8: subgroups_of_8(lowering.limits()),
                };
                match transposed {
                    true => subgroup::Tn { a, b, bias, gates, c }.call(params, overrides, tiles),
                    false => subgroup::Nn { a, b, bias, gates, c }.call(params, overrides, tiles),
                }
            }
            (Tile::Shared, true) => quads::SharedTn { a, b, bias, gates, c }.call(params, overrides, shared),
            (Tile::Shared, false) => quads::SharedNn { a, b, bias, gates, c }.call(params, overrides, shared),
            (Tile::Single, _) => quads::Single { a, b, bias, gates, c }.call(params, overrides, spread.workgroups),
            (_, true) => quads::Tn { a, b, bias, gates, c }.call(params, overrides, spread.workgroups),
            (_, false) => quads::Nn { a, b, bias, gates, c }.call(params, overrides, spread.workgroups),
        };
        lowering.push(call.flops(2 * m * k * n));
    }
}

/// Which product the kernels compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Of `a [M, K]` and `b [K, N]`, which may have to be transposed before.
    Nn,
    /// `c^T = b a^T`, stored transposed: a is the smaller one to transpose.
    NnOfTransposed,
    /// Of `a [K, M]` and `b [K, N]`.
    Tn,
}

impl Layout {
    /// The tiles that compute it, the first being the one to take where nothing was measured.
    fn tiles(self, [m, _, n]: [usize; 3]) -> &'static [(Tile, &'static Kernel)] {
        let rows = if self == Layout::NnOfTransposed { n } else { m };
        match self {
            Layout::Tn => &TN,
            _ if rows <= FEW_ROWS => &NN_OF_FEW_ROWS,
            _ => &NN,
        }
    }
}

/// So many rows leave most of what an invocation owns in other tiles empty.
const FEW_ROWS: usize = 4;
const NN: [(Tile, &Kernel); 5] = [
    (Tile::Quads, quads::Nn::KERNEL),
    (Tile::Subgroup, subgroup::Nn::KERNEL),
    (Tile::Shared, quads::SharedNn::KERNEL),
    (Tile::Columns, kernel::Nn::KERNEL),
    (Tile::Single, quads::Single::KERNEL),
];
const NN_OF_FEW_ROWS: [(Tile, &Kernel); 3] =
    [(Tile::Single, quads::Single::KERNEL), (Tile::Quads, quads::Nn::KERNEL), (Tile::Columns, kernel::Nn::KERNEL)];
const TN: [(Tile, &Kernel); 4] = [
    (Tile::Quads, quads::Tn::KERNEL),
    (Tile::Subgroup, subgroup::Tn::KERNEL),
    (Tile::Shared, quads::SharedTn::KERNEL),
    (Tile::Columns, kernel::Tn::KERNEL),
];

fn overrides(bias: Option<Tensor>, in_fours: bool, continues: bool, epilogue: Epilogue) -> kernel::Overrides {
    kernel::Overrides { has_bias: bias.is_some() && !continues, in_fours, continues, epilogue: epilogue.code() }
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

impl Finishes for Matmul {
    fn arity(&self) -> usize {
        2 + usize::from(self.bias)
    }

    fn lower_with(&self, lowering: &mut Lowering, epilogue: Epilogue) -> Result<()> {
        let (a, b, c) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let [m, k, n] = self.sizes(&lowering.input_types()[..self.arity()])?;
        let bias = lowering.inputs().get(2).copied().filter(|_| self.bias);
        let fours = |n: usize| n.next_multiple_of(4);
        // a, b and what is made of them by transposing.
        let fit = quads_fit(lowering, k, [m * fours(k), k * fours(m), k * fours(n), n * fours(k), m * n]);
        let sizes = [m, k, n];
        let tile = Tile::choose(lowering, fit, self.layout(sizes).tiles(sizes));
        if tile != Tile::Columns {
            self.push_quads(lowering, epilogue, sizes, tile);
            return Ok(());
        }
        let b_is_large = lowering.ty(b).bytes() > lowering.limits().window_bytes();
        if self.transpose_a {
            Product { a, b, bias, c, epilogue, sizes: [m, k, n], strides: [n, 1] }.push_tn(lowering);
        } else if self.transpose_b && bias.is_none() && (m < n || b_is_large) {
            // c^T = b a^T, stored transposed: a is the smaller one to transpose.
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
    let sizes = [[1, 1, 1], [3, 5, 7], [33, 12, 40], [4, 257, 3], [3, 8, 257], [257, 3, 10], [65, 64, 36]];
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
