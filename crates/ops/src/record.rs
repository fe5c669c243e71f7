//! `metrics[row, first + i] = sum over n of figure i of sample n`.

use kiln_graph::{Array, DType, Error, Lowering, Op, Result, Step, TensorType};

use crate::case::Case;
use crate::kernels::record as kernel;

/// Writes a batch's figures, each summed over its samples, to the step's row of the metrics. Inputs: one to four
/// tensors `[N]`. Updates: `[rows, columns]`. Each step has its own row, so that steps do not wait and rounding errors
/// do not accumulate.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Rows of the metrics.
    pub rows: usize,
    /// Columns of the metrics.
    pub columns: usize,
    /// The column of the first tensor.
    pub first: usize,
}

impl Record {
    /// The maximum number of inputs.
    pub const MOST: usize = 4;
}

impl Op for Record {
    fn name(&self) -> &'static str {
        "record"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [figure, others @ ..]
                if figure.dtype == DType::F32
                    && figure.shape.len() == 1
                    && others.len() < Record::MOST
                    && self.first + inputs.len() <= self.columns
                    && others.iter().all(|other| other == figure) =>
            {
                Ok(vec![TensorType::f32([self.rows, self.columns])])
            }
            _ => {
                let expected = format!("1 to {} tensors f32 [N], no more than columns", Record::MOST);
                Err(Error::inputs(self.name(), expected, inputs))
            }
        }
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (inputs, metrics) = (lowering.inputs().to_vec(), lowering.outputs()[0]);
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| inputs.get(i).copied().unwrap_or(inputs[0]));
        let [samples, columns, first] = [lowering.shape(a).elements(), self.columns, self.first].map(|n| n as u32);
        let params = kernel::Params { samples, columns, first };
        let overrides = kernel::Overrides { count: inputs.len() as u32 };
        lowering.push(kernel::Update { a, b, c, d, metrics }.call(params, overrides, [1, 1, 1]));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array> {
        let (metrics, figures) = (inputs[inputs.len() - 1], &inputs[..inputs.len() - 1]);
        let mut metrics = metrics.clone();
        for (i, values) in figures.iter().enumerate() {
            metrics.data[step.row as usize * self.columns + self.first + i] = values.data.iter().sum();
        }
        vec![metrics]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (n, count, first) in [(1, 1, 0), (3, 2, 0), (64, 3, 2), (257, 4, 1)] {
        let inputs = (0..count).map(|i| Array::random([n], 1 + i)).collect();
        let op = Record { rows: 4, columns: 5, first };
        let step = Step { row: 2, ..Step::default() };
        let name = format!("record {count} from {first} [{n}]");
        cases.push(Case::new(name, op, inputs).rewriting(vec![Array::random([4, 5], 9)]).at(step));
    }
    cases
}
