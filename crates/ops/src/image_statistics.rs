//! `y[n] = (minimum, maximum, mean, standard deviation) of all values of image n`.

use kiln_graph::{Array, DType, Error, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::image_statistics as kernel;
use crate::nan::{larger, smaller};

/// The number of statistics per image.
pub(crate) const STATISTICS: usize = 4;

/// Minimum, maximum, mean and population standard deviation (as `numpy.std`) of each image: `[N, …] -> [N, 4]`.
#[derive(Clone, Copy, Debug)]
pub struct ImageStatistics;

impl Op for ImageStatistics {
    fn name(&self) -> &'static str {
        "image_statistics"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [x] if x.dtype == DType::F32 && x.shape.len() > 1 && x.shape.elements() > 0 => {
                Ok(vec![TensorType::f32([x.shape[0], STATISTICS])])
            }
            _ => Err(Error::inputs(self.name(), "one f32 tensor [N, …]", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let images = lowering.shape(y)[0];
        let elements = lowering.shape(x).elements() / images.max(1);
        let params = kernel::Params { images: images as u32, elements: elements as u32 };
        lowering.push(kernel::Forward { x, y }.call(params, linear_workgroups(images, 1)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let images = inputs[0].shape()[0];
        let elements = inputs[0].shape().sample().elements();
        let figures = inputs[0].data.chunks(elements.max(1)).flat_map(|image| {
            let least = image.iter().fold(f64::INFINITY, |least, &v| smaller(least, v));
            let most = image.iter().fold(f64::NEG_INFINITY, |most, &v| larger(most, v));
            let mean = image.iter().sum::<f64>() / elements as f64;
            let variance = image.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / elements as f64;
            [least, most, mean, variance.sqrt()]
        });
        vec![Array::f32([images, STATISTICS], figures.collect())]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |dims: [usize; 4]| {
        Case::new(format!("image_statistics {dims:?}"), ImageStatistics, vec![Array::random(dims, 1)])
    };
    [[1, 1, 1, 1], [3, 3, 5, 3], [257, 8, 8, 1], [2, 31, 33, 3]].map(case).into()
}
