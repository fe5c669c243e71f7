//! The nodes of an augmentation in a step.

use kiln_graph::{Graph, Tensor};
use kiln_ops::{
    AugmentColor, AugmentDraw, AugmentWarp, Gather, ImageStatistics, Matmul, StandardizeFeatures, StandardizeSamples,
};

use super::Augmentation;
use crate::data::Standardization;
use crate::{Error, Result};

/// The source of a batch and its preprocessing.
pub(crate) struct Source<'a> {
    /// All samples, `[samples, …]`.
    pub x: Tensor,
    /// `[places]`, u32.
    pub order: Tensor,
    /// The number of samples.
    pub size: usize,
    /// Scaling: the model's input is `value * scale + offset`.
    pub scale: f32,
    /// Scaling: the model's input is `value * scale + offset`.
    pub offset: f32,
    /// The augmentation, in training.
    pub augmentation: Option<&'a Augmentation>,
    /// The standardization after augmentation.
    pub standardization: &'a Standardization,
    /// The features for the standardization, if it needs any.
    pub features: Option<FeatureTensors>,
}

/// [`Features`](crate::data::Features) on the device, for samples of E values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FeatureTensors {
    /// `[E]`
    pub centre: Tensor,
    /// `[E]`
    pub divisor: Tensor,
    /// `[E, E]`
    pub whitening: Option<Tensor>,
}

/// Appends the nodes that gather a batch, augment it and standardize it.
///
/// # Errors
/// If samples to augment are not images.
pub(crate) fn append(graph: &mut Graph, source: &Source<'_>) -> Result<Tensor> {
    let &Source { x, order, size, scale, offset, .. } = source;
    let taken = [x, order];
    let x = match source.augmentation.filter(|augmentation| augmentation.warps() || augmentation.colors()) {
        None => graph.add(Gather { batch: size, scale, offset }, &taken)?,
        Some(augmentation) => {
            let raw = graph.add(Gather { batch: size, scale: 1.0, offset: 0.0 }, &taken)?;
            graph.scope("augmentation");
            augmentation.append(graph, raw, scale, offset)?
        }
    };
    graph.scope("standardization");
    standardized(graph, source, x)
}

/// Appends the standardization of a batch after augmentation.
fn standardized(graph: &mut Graph, source: &Source<'_>, mut x: Tensor) -> Result<Tensor> {
    if let Some(divides) = source.standardization.samples {
        let statistics = graph.add(ImageStatistics, &[x])?;
        x = graph.add(StandardizeSamples { divides }, &[x, statistics])?;
    }
    let Some(FeatureTensors { centre, divisor, whitening }) = source.features else { return Ok(x) };
    let x = graph.add(StandardizeFeatures, &[x, centre, divisor])?;
    let Some(whitening) = whitening else { return Ok(x) };
    let shape = graph.shape(x).clone();
    let flat = graph.reshape(x, [shape[0], shape.sample().elements()])?;
    let flat = graph.add(Matmul::default(), &[flat, whitening])?;
    Ok(graph.reshape(flat, shape)?)
}

impl Augmentation {
    /// Whether pixels move.
    fn warps(&self) -> bool {
        self.rotation_range != 0.0
            || self.shear_range != 0.0
            || self.zoom_range.pair() != [1.0, 1.0]
            || !self.width_shift_range.is_zero()
            || !self.height_shift_range.is_zero()
            || self.horizontal_flip
            || self.vertical_flip
            || self.crop_padding > 0
    }

    /// Whether values change.
    fn colors(&self) -> bool {
        self.channel_shift_range != 0.0 || self.brightness_range.is_some() || self.cutout > 0
    }

    /// Whether images of this height and width in pixels can be sampled between pixels.
    fn interpolates(&self, [height, width]: [usize; 2]) -> bool {
        let whole = self.width_shift_range.is_whole(width) && self.height_shift_range.is_whole(height);
        let upright = self.rotation_range == 0.0 && self.shear_range == 0.0 && self.zoom_range.pair() == [1.0, 1.0];
        self.interpolation_order == 1 && !(whole && upright)
    }

    /// The random draws for a batch of images of this height and width in pixels.
    fn draw(&self, images: usize, size: [usize; 2]) -> AugmentDraw {
        AugmentDraw {
            images,
            size,
            rotation: self.rotation_range.to_radians() as f32,
            shift: [self.height_shift_range.pixels(size[0]), self.width_shift_range.pixels(size[1])],
            shear: self.shear_range.to_radians() as f32,
            zoom: self.zoom_range.pair().map(|factor| factor as f32),
            flip: [self.vertical_flip, self.horizontal_flip],
            crop: self.crop_padding,
            channel_shift: self.channel_shift_range as f32,
            brightness: self.brightness_range.unwrap_or([1.0, 1.0]).map(|factor| factor as f32),
            cutout: self.cutout,
        }
    }

    /// Appends the augmentation of a batch of images `x`, stored as in the data set, and the scaling to the model's input.
    pub(super) fn append(&self, graph: &mut Graph, x: Tensor, scale: f32, offset: f32) -> Result<Tensor> {
        let shape = graph.shape(x).clone();
        let Some([images, height, width, _]) = shape.dims() else {
            let (name, expected) = ("augmentation", "images [height, width, channels]".to_owned());
            return Err(Error::Argument { name, expected, found: format!("samples {}", shape.sample()) });
        };
        let cval = self.cval as f32;
        let draws = graph.add(self.draw(images, [height, width]), &[])?;
        let warp = |graph: &mut Graph, x, scale, offset| {
            let (interpolated, fill_mode) = (self.interpolates([height, width]), self.fill_mode);
            graph.add(AugmentWarp { interpolated, fill_mode, cval, scale, offset }, &[x, draws])
        };
        if !self.colors() {
            return Ok(warp(graph, x, scale, offset)?);
        }
        let x = if self.warps() { warp(graph, x, 1.0, 0.0)? } else { x };
        let shifts = self.channel_shift_range != 0.0;
        let (brightens, cutout) = (self.brightness_range.is_some(), self.cutout);
        let mut taken = vec![x, draws];
        if shifts {
            taken.push(graph.add(ImageStatistics, &[x])?);
        }
        Ok(graph.add(AugmentColor { shifts, brightens, cutout, cval, scale, offset }, &taken)?)
    }
}
