//! MaxPool, AveragePool, and reductions over all places.

use super::batch::Batch;
use super::node::Node;
use super::space::{NO_SIDES, Sides, Space, pads, same};
use super::{Importer, Result};
use crate::layers::{
    AveragePooling1D, AveragePooling2D, GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalMaxPooling1D,
    GlobalMaxPooling2D, MaxPooling1D, MaxPooling2D, Padding,
};
use crate::network::Node as LayerNode;

/// The window of a pooling.
#[derive(Clone, Copy)]
struct Window {
    size: [usize; 2],
    strides: [usize; 2],
    padding: Padding,
}

impl<'a> Importer<'a> {
    pub(super) fn pool(&mut self, node: &Node<'a>) -> Result<Batch> {
        let x = self.spatial(node, 0)?;
        let Space { extents, axes, .. } = self.space(&x);
        let size = node.pair("kernel_shape", None, axes)?;
        let strides = node.pair("strides", Some([1; 2]), axes)?;
        let given = pads(node, axes, extents, size, strides)?.sides;
        node.expect_int("storage_order", 0)?;
        let dilations = node.pair("dilations", Some([1; 2]), axes)?;
        if dilations != [1; 2] {
            return Err(node.wrong("dilations", "1", format!("{dilations:?}")).into());
        }
        let rounds_up = node.int("ceil_mode").unwrap_or(0) != 0;
        // A window more is one that begins in the image, and may end behind the padding.
        let mut sides = given;
        for axis in 0..2 {
            let [before, after] = sides[axis];
            let extent = extents[axis] + before;
            let Some(steps) = (extent + after).checked_sub(size[axis]) else {
                let found = format!("{} x {} pixels", extents[0], extents[1]);
                return Err(node.problem("an image as large as the window", found).into());
            };
            let more = steps.div_ceil(strides[axis]).saturating_mul(strides[axis]);
            if rounds_up && more > steps && more < extent {
                sides[axis][1] = (more + size[axis]).saturating_sub(extent);
            }
        }
        let counts_padding = node.op() == "AveragePool" && node.int("count_include_pad").unwrap_or(0) != 0;
        if counts_padding && sides != given {
            return Err(node.wrong("ceil_mode", "0, or windows within the padded image", "1").into());
        }
        let is_same = sides != NO_SIDES && sides == same(extents, size, strides);
        let padding = if is_same { Padding::Same } else { Padding::Valid };
        let window = Window { size, strides, padding };
        let y = if counts_padding || x.is_positive && node.op() == "MaxPool" && !is_same {
            // Padding is never the maximum, as zeros are among values of 0 or more.
            let padded = self.padded(node, x.node, sides)?;
            self.windows(node, padded, Window { padding: Padding::Valid, ..window })?
        } else if is_same || sides == NO_SIDES {
            self.windows(node, x.node, window)?
        } else {
            self.some_of_all_places(node, &x, window, sides)?
        };
        Ok(Batch { node: y, ..x })
    }

    /// Appends the layer of a MaxPool or AveragePool.
    fn windows(&mut self, node: &Node<'a>, x: LayerNode, window: Window) -> Result<LayerNode> {
        let Window { size, strides, padding } = window;
        let is_sequence = self.model.network().shape(x).is_some_and(|shape| shape.len() == 2);
        let inputs = [x];
        match (node.op(), is_sequence) {
            ("MaxPool", false) => {
                self.push(node, MaxPooling2D::new(size).strides(strides).padding(padding), &inputs, vec![])
            }
            ("MaxPool", true) => {
                self.push(node, MaxPooling1D::new(size[0]).strides(strides[0]).padding(padding), &inputs, vec![])
            }
            (_, false) => {
                self.push(node, AveragePooling2D::new(size).strides(strides).padding(padding), &inputs, vec![])
            }
            (_, true) => {
                self.push(node, AveragePooling1D::new(size[0]).strides(strides[0]).padding(padding), &inputs, vec![])
            }
        }
    }

    /// Windows at all places with padding 'same', of which the strides leave some.
    fn some_of_all_places(&mut self, node: &Node<'a>, x: &Batch, window: Window, sides: Sides) -> Result<LayerNode> {
        let Window { size, strides, .. } = window;
        let Space { extents, .. } = self.space(x);
        let mut left_out = NO_SIDES;
        for axis in 0..2 {
            // The places of the first and last window among all places.
            let windows = (extents[axis] + sides[axis][0] + sides[axis][1] - size[axis]) / strides[axis] + 1;
            let first = ((size[axis] - 1) / 2).checked_sub(sides[axis][0]);
            let after = first.and_then(|first| extents[axis].checked_sub(first + (windows - 1) * strides[axis] + 1));
            let (Some(first), Some(after)) = (first, after) else {
                let expected = match node.op() {
                    "MaxPool" => "windows around each pixel, padding 'same', or values of 0 or more (after Relu)",
                    _ => "windows around each pixel, padding 'same', or count_include_pad of 1",
                };
                return Err(node.wrong("pads", expected, format!("{sides:?}")).into());
            };
            left_out[axis] = [first, after];
        }
        let all = self.windows(node, x.node, Window { size, strides: [1; 2], padding: Padding::Same })?;
        let from_first = self.cropped(node, all, left_out)?;
        match strides {
            [1, 1] => Ok(from_first),
            _ => self.windows(node, from_first, Window { size: [1; 2], strides, padding: Padding::Valid }),
        }
    }

    pub(super) fn global_pool(&mut self, node: &Node<'a>) -> Result<Batch> {
        let x = self.batch(node, 0)?;
        let rank = x.axes.len();
        let is_mean = matches!(node.op(), "GlobalAveragePool" | "ReduceMean");
        let (reduced, keepdims) = match node.op() {
            "GlobalAveragePool" | "GlobalMaxPool" => ((2..rank).collect(), true),
            _ => {
                let given = self.optional(node, 1)?;
                let axes = node.given_axes(given.as_ref())?.unwrap_or_else(|| (0..rank as i64).collect());
                node.expect_int("noop_with_empty_axes", 0)?;
                let mut axes = node.axes(&axes, rank)?;
                axes.sort_unstable();
                (axes, node.int("keepdims").unwrap_or(1) != 0)
            }
        };
        let others: Vec<usize> = (0..rank).filter(|axis| !reduced.contains(axis)).collect();
        let (&[0, channels], 3 | 4) = (&others[..], rank) else {
            let expected = "all axes but the batch and one other, of 3 or 4 axes";
            return Err(node.wrong("axes", expected, format!("{reduced:?} of {rank}")).into());
        };
        let order: Vec<usize> = [0].into_iter().chain(reduced).chain([channels]).collect();
        let x = self.arranged(node, x, &order)?;
        let inputs = [x.node];
        let y = match (is_mean, rank) {
            (true, 4) => self.push(node, GlobalAveragePooling2D::new().keepdims(keepdims), &inputs, vec![]),
            (true, _) => self.push(node, GlobalAveragePooling1D::new().keepdims(keepdims), &inputs, vec![]),
            (false, 4) => self.push(node, GlobalMaxPooling2D::new().keepdims(keepdims), &inputs, vec![]),
            (false, _) => self.push(node, GlobalMaxPooling1D::new().keepdims(keepdims), &inputs, vec![]),
        }?;
        let axes = if keepdims { order } else { vec![0, 1] };
        Ok(Batch { node: y, axes, ..x })
    }
}
