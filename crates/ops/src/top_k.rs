//! `hits[n] = 1` where fewer than `k` of `x[n]` are larger than that of the target's first largest class and none is NaN, else 0.

use kiln_graph::{Array, DType, Error, Lowering, Op, Pieces, Result, Step, TensorType};

use crate::case::Case;
use crate::kernels::top_k as kernel;
use crate::softmax_cross_entropy::{fit, weights};

/// Whether a sample's class is among the `k` largest outputs, false if an output is NaN: `(x [N, C], targets) -> hits
/// [N]`. Targets are classes (u32 `[N]`) or weights (f32 `[N, C]`).
#[derive(Clone, Copy, Debug)]
pub struct TopK {
    /// The number of top classes.
    pub k: u32,
    /// Whether ties are resolved in favour of the first class, as in Keras' accuracy; else in favour of the target, as
    /// in its `top_k_categorical_accuracy`.
    pub first_of_ties: bool,
}

impl TopK {
    fn sizes(&self, inputs: &[TensorType]) -> Result<[usize; 2]> {
        match inputs {
            [x, targets] => fit(x, targets),
            _ => None,
        }
        .ok_or_else(|| Error::inputs(self.name(), "(x f32 [N, C], targets u32 [N] or f32 [N, C])", inputs))
    }
}

impl Op for TopK {
    fn name(&self) -> &'static str {
        "top_k"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.sizes(inputs).map(|[rows, _]| vec![TensorType::f32([rows])])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, targets, hits) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let [rows, classes] = self.sizes(&lowering.input_types())?;
        let one_hot = lowering.ty(targets).dtype == DType::F32;
        let overrides = kernel::Overrides { one_hot, first_of_ties: self.first_of_ties };
        let params = kernel::Params { rows: rows as u32, classes: classes as u32, k: self.k };
        let tensors = kernel::Forward { x, targets, hits };
        lowering.push(tensors.call(params, overrides, [rows.div_ceil(64).max(1) as u32, 1, 1]));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let [rows, classes] = fit(&inputs[0].ty, &inputs[1].ty).unwrap_or_default();
        let targets = weights(inputs[1], [rows, classes]);
        let hits = inputs[0].data.chunks(classes).zip(targets.chunks(classes)).map(|(x, t)| {
            let label = (1..classes).fold(0, |best, c| if t[c] > t[best] { c } else { best });
            let before = |c: &usize| x[*c] > x[label] || (self.first_of_ties && x[*c] == x[label] && *c < label);
            let is_number = !x.iter().chain(t).any(|v| v.is_nan());
            f64::from(is_number && (0..classes).filter(before).count() < self.k as usize)
        });
        vec![Array::f32([rows], hits.collect())]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (dims, k) in [([1, 1], 1), ([3, 10], 3), ([257, 3], 2), ([257, 3], 1), ([2, 1000], 500)] {
        // Few different values, to create ties.
        let mut x = Array::random(dims, 1);
        x.data.iter_mut().for_each(|value| *value = (*value * 2.0).round());
        let classes = Array::random_below([dims[0]], DType::U32, dims[1] as u64, 2);
        for (kind, targets) in [("classes", classes), ("weights", Array::random(dims, 3))] {
            for first_of_ties in [true, false] {
                let name = format!("top_k {k} {dims:?} {kind} first_of_ties {first_of_ties}");
                cases.push(Case::new(name, TopK { k, first_of_ties }, vec![x.clone(), targets.clone()]));
            }
        }
    }
    cases
}
