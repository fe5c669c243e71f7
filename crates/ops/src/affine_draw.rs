//! `maps[n] = a flip, rotation, zoom or translation of image n by random factors`.

use std::f64::consts::TAU;

use kiln_graph::{Array, Error, Lowering, Op, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::affine_draw as kernel;
use crate::random::{random4, uniform_of};

/// A random transform of images: that of Keras' layer of the same name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RandomAffine {
    /// Half of the images are flipped, along all chosen axes at once.
    Flip {
        /// Whether the first row becomes the last one.
        vertical: bool,
        /// Whether the first column becomes the last one.
        horizontal: bool,
    },
    /// By an angle about the middle of the image.
    Rotation {
        /// The least and the most, in turns; positive is counter-clockwise.
        turns: [f32; 2],
    },
    /// About the middle of the image, by factors of the distance between pixels of the result: below 1 magnifies.
    Zoom {
        /// The least and the most vertical factor.
        vertical: [f32; 2],
        /// The least and the most horizontal factor; `None` for the vertical one.
        horizontal: Option<[f32; 2]>,
    },
    /// By a share of the image's extents; positive moves down and to the right.
    Translation {
        /// The least and the most share of the height.
        vertical: [f32; 2],
        /// The least and the most share of the width.
        horizontal: [f32; 2],
    },
}

/// Draws an affine map for each image of a batch, from the step's key: `() -> [N, 6]`, for
/// [`AffineTransform`](crate::AffineTransform). The maps are those of Keras' layers for the same factors.
#[derive(Clone, Copy, Debug)]
pub struct AffineDraw {
    /// N, the images.
    pub images: usize,
    /// Their height and width, in pixels.
    pub size: [usize; 2],
    /// The transform whose factors are drawn.
    pub random: RandomAffine,
    /// A number of its own for each random layer of a network.
    pub stream: u32,
}

impl AffineDraw {
    /// The kernel's kind, whether there is one factor for both axes, and the least and the most of each.
    fn factors(&self) -> (u32, bool, [[f32; 2]; 2]) {
        match self.random {
            RandomAffine::Flip { vertical, horizontal } => {
                (kernel::FLIP, false, [vertical, horizontal].map(|flips| [0.0, f32::from(u8::from(flips))]))
            }
            RandomAffine::Rotation { turns } => (kernel::ROTATION, true, [turns; 2]),
            RandomAffine::Zoom { vertical, horizontal } => {
                (kernel::ZOOM, horizontal.is_none(), [vertical, horizontal.unwrap_or(vertical)])
            }
            RandomAffine::Translation { vertical, horizontal } => (kernel::TRANSLATION, false, [vertical, horizontal]),
        }
    }

    /// The map of image `n` of the whole batch.
    fn map(&self, n: u32, key: [u32; 2]) -> [f64; 6] {
        let words = random4(n, self.stream, key);
        let (_, is_tied, factors) = self.factors();
        let between = |[low, high]: [f32; 2], word: u32| {
            let [low, high] = [low, high].map(f64::from);
            low + (high - low) * uniform_of(word)
        };
        let vertical = between(factors[0], words[0]);
        let horizontal = if is_tied { vertical } else { between(factors[1], words[1]) };
        let [height, width] = self.size.map(|extent| extent as f64);
        let [y, x] = [(height - 1.0) / 2.0, (width - 1.0) / 2.0];
        match self.random {
            RandomAffine::Flip { vertical, horizontal } => {
                let flipped = uniform_of(words[0]) < 0.5;
                let along = |flips: bool, extent: f64| if flips && flipped { [-1.0, extent - 1.0] } else { [1.0, 0.0] };
                let ([m0, m2], [m4, m5]) = (along(vertical, height), along(horizontal, width));
                [m0, 0.0, m2, 0.0, m4, m5]
            }
            RandomAffine::Rotation { .. } => {
                let (sin, cos) = (TAU * vertical).sin_cos();
                [cos, sin, y - cos * y - sin * x, -sin, cos, x + sin * y - cos * x]
            }
            RandomAffine::Zoom { .. } => [vertical, 0.0, y * (1.0 - vertical), 0.0, horizontal, x * (1.0 - horizontal)],
            RandomAffine::Translation { .. } => [1.0, 0.0, -vertical * height, 0.0, 1.0, -horizontal * width],
        }
    }
}

impl Op for AffineDraw {
    fn name(&self) -> &'static str {
        "affine_draw"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [] => Ok(vec![TensorType::f32([self.images, kernel::MAP as usize])]),
            _ => Err(Error::inputs(self.name(), "no tensor", inputs)),
        }
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let maps = lowering.outputs()[0];
        let (kind, is_tied, [[top, bottom], [left, right]]) = self.factors();
        let params = kernel::Params {
            images: self.images as u32,
            stream: self.stream,
            kind,
            tied: u32::from(is_tied),
            size: self.size.map(|extent| extent as u32),
            low: [top, left],
            high: [bottom, right],
        };
        lowering.push(kernel::Forward { maps }.call(params, linear_workgroups(self.images, 256)));
        Ok(())
    }

    fn reference(&self, _: &[&Array], step: &Step) -> Vec<Array> {
        let maps = (0..self.images as u32).flat_map(|n| self.map(step.place + n, step.key)).collect();
        vec![Array::f32([self.images, 6], maps)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let draws = [
        ("a flip", RandomAffine::Flip { vertical: false, horizontal: true }),
        ("both flips", RandomAffine::Flip { vertical: true, horizontal: true }),
        ("a rotation", RandomAffine::Rotation { turns: [-0.25, 0.5] }),
        ("rotations of many turns", RandomAffine::Rotation { turns: [-0.75, 1.0] }),
        ("a zoom", RandomAffine::Zoom { vertical: [0.5, 1.5], horizontal: None }),
        ("two zooms", RandomAffine::Zoom { vertical: [0.5, 0.75], horizontal: Some([1.0, 2.0]) }),
        ("a translation", RandomAffine::Translation { vertical: [-0.25, 0.5], horizontal: [0.125, 0.125] }),
    ];
    let case = |(name, random): (&str, RandomAffine), (images, size, place): (usize, [usize; 2], u32)| {
        let step = Step { key: [0x1234_5678, 0x9abc_def0], place, ..Step::default() };
        let op = AffineDraw { images, size, random, stream: 3 };
        Case::new(format!("affine_draw of {name}, {images} of {size:?} from {place} on"), op, vec![]).at(step)
    };
    let batches = [(1, [1, 1], 0), (257, [31, 33], 7)];
    draws.into_iter().flat_map(|draw| batches.map(|batch| case(draw, batch))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_images_are_flipped_along_all_axes_at_once() {
        let random = RandomAffine::Flip { vertical: true, horizontal: true };
        let draw = AffineDraw { images: 0, size: [4, 6], random, stream: 1 };
        let maps: Vec<[f64; 6]> = (0..10_000).map(|n| draw.map(n, [5, 6])).collect();
        let flipped = maps.iter().filter(|map| **map == [-1.0, 0.0, 3.0, 0.0, -1.0, 5.0]).count();
        let same = maps.iter().filter(|map| **map == [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]).count();
        assert_eq!(flipped + same, 10_000);
        assert!((4800..5200).contains(&flipped), "{flipped}");
    }
}
