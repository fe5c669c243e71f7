//! Images and sequences: their extents, padding and cropping. A sequence is an image with one column.

use super::super::export::same_pads;
use super::batch::{Batch, channels_last};
use super::node::Node;
use super::{Importer, Result};
use crate::layers::{Cropping2D, GetItem, Reshape, ZeroPadding2D};
use crate::network::Node as LayerNode;

/// The rows and columns around images: `[[top, bottom], [left, right]]`.
pub(super) type Sides = [[usize; 2]; 2];

pub(super) const NO_SIDES: Sides = [[0; 2]; 2];

/// The extents of images or sequences.
pub(super) struct Space {
    /// Height and width, or steps and 1.
    pub extents: [usize; 2],
    pub channels: usize,
    /// 2 for images, 1 for sequences.
    pub axes: usize,
}

/// The padding of a convolution or pooling.
pub(super) struct Pads {
    pub sides: Sides,
    /// Whether they are Keras' padding 'same'.
    pub is_same: bool,
}

/// Keras' padding 'same' of windows, dilated.
pub(super) fn same(extents: [usize; 2], window: [usize; 2], strides: [usize; 2]) -> Sides {
    [0, 1].map(|axis| same_pads(extents[axis], window[axis], strides[axis]))
}

/// The padding of windows, dilated, over images with these extents, or over sequences, of one axis.
pub(super) fn pads(
    node: &Node<'_>,
    axes: usize,
    extents: [usize; 2],
    window: [usize; 2],
    strides: [usize; 2],
) -> Result<Pads, String> {
    let same = same(extents, window, strides);
    let given = node.ints("pads");
    let sides = match node.string("auto_pad").unwrap_or("NOTSET") {
        "SAME_UPPER" => same,
        "SAME_LOWER" => same.map(|[small, large]| [large, small]),
        "VALID" => NO_SIDES,
        "" | "NOTSET" => sides(node, axes, given)?,
        found => return Err(node.wrong("auto_pad", "NOTSET, VALID, SAME_UPPER or SAME_LOWER", found)),
    };
    Ok(Pads { sides, is_same: sides == same })
}

/// The sides of `[top, left, bottom, right]`, or of `[before, after]` for one axis.
pub(super) fn sides(node: &Node<'_>, axes: usize, pads: Option<Vec<i64>>) -> Result<Sides, String> {
    let Some(pads) = pads else { return Ok(NO_SIDES) };
    let small: Option<Vec<usize>> =
        pads.iter().map(|&pad| usize::try_from(pad).ok().filter(|&pad| pad < 1 << 30)).collect();
    match (small.as_deref(), axes) {
        (Some(&[before, after]), 1) => Ok([[before, after], [0; 2]]),
        (Some(&[top, left, bottom, right]), 2) => Ok([[top, bottom], [left, right]]),
        _ => {
            let expected = "numbers of 0 or more for both sides of each axis";
            Err(node.wrong("pads", expected, format!("{pads:?}")))
        }
    }
}

impl<'a> Importer<'a> {
    /// The input of this index as images or sequences with their channels last.
    pub(super) fn spatial(&mut self, node: &Node<'a>, index: usize) -> Result<Batch> {
        let batch = self.batch(node, index)?;
        let rank = batch.axes.len();
        if ![3, 4].contains(&rank) {
            let expected = "an input of 4 axes (images) or 3 axes (sequences)";
            return Err(node.problem(expected, format!("one of {rank} axes")).into());
        }
        self.arranged(node, batch, &channels_last(rank))
    }

    /// The extents of images or sequences with their channels last.
    pub(super) fn space(&self, batch: &Batch) -> Space {
        match self.sample(batch)[..] {
            [height, width, channels] => Space { extents: [height, width], channels, axes: 2 },
            [steps, channels] => Space { extents: [steps, 1], channels, axes: 1 },
            _ => Space { extents: [1; 2], channels: 1, axes: 2 },
        }
    }

    /// The extents of a layer's output.
    fn shape(&self, x: LayerNode) -> Vec<usize> {
        self.model.network().shape(x).map(|shape| shape.to_vec()).unwrap_or_default()
    }

    fn reshaped(&mut self, node: &Node<'a>, x: LayerNode, shape: &[usize]) -> Result<LayerNode> {
        let shape: Vec<i64> = shape.iter().map(|&extent| extent as i64).collect();
        self.push(node, Reshape::new(shape), &[x], vec![])
    }

    /// Sequences as images with one column; images as they are.
    pub(super) fn as_images(&mut self, node: &Node<'a>, x: LayerNode) -> Result<LayerNode> {
        match self.shape(x)[..] {
            [steps, channels] => self.reshaped(node, x, &[steps, 1, channels]),
            _ => Ok(x),
        }
    }

    /// Images with one column as sequences.
    pub(super) fn as_sequences(&mut self, node: &Node<'a>, x: LayerNode) -> Result<LayerNode> {
        match self.shape(x)[..] {
            [steps, 1, channels] => self.reshaped(node, x, &[steps, channels]),
            _ => Ok(x),
        }
    }

    /// Images or sequences with zeros around them.
    pub(super) fn padded(&mut self, node: &Node<'a>, x: LayerNode, sides: Sides) -> Result<LayerNode> {
        if sides == NO_SIDES {
            return Ok(x);
        }
        let is_sequence = self.shape(x).len() == 2;
        let images = self.as_images(node, x)?;
        let name = format!("{}_pad", super::layer_name(node.name()));
        let padded = self.push_named(node, name, ZeroPadding2D::new(sides), &[images], vec![])?;
        if is_sequence { self.as_sequences(node, padded) } else { Ok(padded) }
    }

    /// Images or sequences without some rows and columns.
    pub(super) fn cropped(&mut self, node: &Node<'a>, x: LayerNode, sides: Sides) -> Result<LayerNode> {
        if sides == NO_SIDES {
            return Ok(x);
        }
        match self.shape(x)[..] {
            [steps, _] => {
                let [first, after] = sides[0];
                let range = first as i64..steps.saturating_sub(after) as i64;
                self.push(node, GetItem::new([range.into()]), &[x], vec![])
            }
            _ => self.push(node, Cropping2D::new(sides), &[x], vec![]),
        }
    }
}
