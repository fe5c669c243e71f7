//! `y[n, e] = (x[n, e] - mean of image n) / (deviation of image n + 1e-6 or 1)`, and `(x[n, e] - centre[e]) / divisor[e]`.

use kiln_graph::{Array, DType, Error, Lowering, Op, Pieces, Result, Step, TensorType};

use crate::case::Case;
use crate::image_statistics::STATISTICS;
use crate::kernels::standardize as kernel;
use crate::tiles::spread;

/// Standardizes each image by its own mean and standard deviation: `(x [N, …], statistics [N, 4]) -> [N, …]`, with
/// [`ImageStatistics`](crate::ImageStatistics) of `x`.
#[derive(Clone, Copy, Debug)]
pub struct StandardizeSamples {
    /// Whether to divide by the standard deviation plus 1e-6 after subtracting the mean.
    pub divides: bool,
}

/// Standardizes each feature: `(x [N, …], centre [E], divisor [E]) -> [N, …]` for images of E values.
#[derive(Clone, Copy, Debug)]
pub struct StandardizeFeatures;

/// N and the number of values per image.
fn images(x: &TensorType) -> Option<[usize; 2]> {
    let images = *x.shape.first()?;
    (x.dtype == DType::F32 && x.shape.elements() > 0).then(|| [images, x.shape.elements() / images])
}

fn params_and_workgroups(x: &TensorType) -> (kernel::Params, [u32; 3]) {
    let [images, elements] = images(x).unwrap_or_default();
    let params = kernel::Params { images: images as u32, elements: elements as u32 };
    (params, spread(images, 1, elements, kernel::LANES))
}

impl Op for StandardizeSamples {
    fn name(&self) -> &'static str {
        "standardize_samples"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [x, statistics] if images(x).is_some_and(|[n, _]| *statistics == TensorType::f32([n, STATISTICS])) => {
                Ok(vec![x.clone()])
            }
            _ => Err(Error::inputs(self.name(), format!("f32 (x [N, …], statistics [N, {STATISTICS}])"), inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, statistics, y) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let (params, workgroups) = params_and_workgroups(lowering.ty(x));
        let overrides = kernel::Overrides { divides: self.divides };
        lowering.push(kernel::Samples { x, statistics, y }.call(params, overrides, workgroups));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let (x, statistics) = (inputs[0], inputs[1]);
        let elements = x.shape().sample().elements();
        let value = |i: usize, x: f64| {
            let image = &statistics.data[i / elements * STATISTICS..];
            (x - image[2]) / if self.divides { image[3] + 1e-6 } else { 1.0 }
        };
        vec![Array::new(x.ty.clone(), x.data.iter().enumerate().map(|(i, &x)| value(i, x)).collect())]
    }
}

impl Op for StandardizeFeatures {
    fn name(&self) -> &'static str {
        "standardize_features"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [x, centre, divisor]
                if centre == divisor && images(x).is_some_and(|[_, e]| *centre == TensorType::f32([e])) =>
            {
                Ok(vec![x.clone()])
            }
            _ => Err(Error::inputs(self.name(), "f32 (x [N, …], centre [E], divisor [E])", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::SamplesOf(vec![0])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let (centre, divisor) = (lowering.inputs()[1], lowering.inputs()[2]);
        let (params, workgroups) = params_and_workgroups(lowering.ty(x));
        let overrides = kernel::Overrides { divides: true };
        lowering.push(kernel::Features { x, centre, divisor, y }.call(params, overrides, workgroups));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let [x, centre, divisor] = inputs else { return Vec::new() };
        let elements = centre.data.len();
        let value = |(i, x): (usize, &f64)| (x - centre.data[i % elements]) / divisor.data[i % elements];
        vec![Array::new(x.ty.clone(), x.data.iter().enumerate().map(value).collect())]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for dims in [[1, 1, 1, 1], [3, 5, 7, 3], [257, 3, 3, 1], [2, 9, 31, 4]] {
        let x = Array::random(dims, 1);
        let mut statistics = Array::random([dims[0], STATISTICS], 2);
        statistics.data.iter_mut().for_each(|v| *v = v.abs() + 0.25);
        for divides in [false, true] {
            let name = format!("standardize_samples {dims:?} divides {divides}");
            let op = StandardizeSamples { divides };
            cases.push(Case::new(name, op, vec![x.clone(), statistics.clone()]));
        }
        let elements = x.shape().sample().elements();
        let mut divisor = Array::random([elements], 4);
        divisor.data.iter_mut().for_each(|v| *v = v.abs() + 0.25);
        let inputs = vec![x, Array::random([elements], 3), divisor];
        cases.push(Case::new(format!("standardize_features {dims:?}"), StandardizeFeatures, inputs));
    }
    cases
}
