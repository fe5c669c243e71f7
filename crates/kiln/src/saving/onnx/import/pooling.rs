//! MaxPool, AveragePool, and reductions over all places.

use super::super::export::same_pads;
use super::batch::{Batch, IMAGE, channels_last};
use super::convolutions::{Sides, pads};
use super::node::Node;
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
    sides: Sides,
    is_same: bool,
}

impl<'a> Importer<'a> {
    /// A pooling of sequences `[N, C, T]`, without padding or with padding 'same'.
    fn pool_sequences(&mut self, node: &Node<'a>, x: Batch) -> Result<Batch> {
        let x = self.arranged(node, x, &channels_last(3))?;
        let steps = self.sample(&x)[0];
        let one = |name: &'static str, default: Option<i64>| {
            let found = node.ints(name).map_or(default, |ints| if ints.len() == 1 { Some(ints[0]) } else { None });
            let found =
                found.and_then(|found| usize::try_from(found).ok()).filter(|found| (1..1 << 30).contains(found));
            found.ok_or_else(|| node.wrong(name, "a number of 1 or more", "others"))
        };
        let (size, stride) = (one("kernel_shape", None)?, one("strides", Some(1))?);
        let same = same_pads(steps, size, stride);
        let given = node.ints("pads");
        let pads = match node.string("auto_pad").unwrap_or("NOTSET") {
            "SAME_UPPER" => same.map(|pad| pad as i64).to_vec(),
            "" | "NOTSET" | "VALID" => given.unwrap_or_else(|| vec![0; 2]),
            found => return Err(node.wrong("auto_pad", "NOTSET, VALID or SAME_UPPER", found).into()),
        };
        let padding = match &pads[..] {
            [0, 0] => Padding::Valid,
            pads if *pads == same.map(|pad| pad as i64) => Padding::Same,
            _ => return Err(node.wrong("pads", "none, or padding 'same'", format!("{pads:?}")).into()),
        };
        for (name, expected) in [("ceil_mode", 0), ("storage_order", 0)] {
            node.expect_int(name, expected)?;
        }
        if one("dilations", Some(1))? != 1 || node.int("count_include_pad") == Some(1) && padding == Padding::Same {
            return Err(node.problem("dilations of 1 and a count_include_pad of 0", "others").into());
        }
        let y = match node.op() {
            "MaxPool" => self.push(node, MaxPooling1D::new(size).strides(stride).padding(padding), &[x.node], vec![]),
            _ => self.push(node, AveragePooling1D::new(size).strides(stride).padding(padding), &[x.node], vec![]),
        }?;
        Ok(Batch { node: y, ..x })
    }

    pub(super) fn pool(&mut self, node: &Node<'a>) -> Result<Batch> {
        let x = self.batch(node, 0)?;
        if x.axes.len() == 3 {
            return self.pool_sequences(node, x);
        }
        let x = self.image(node, 0)?;
        let [height, width, _] = self.extents(&x);
        let size = node.pair("kernel_shape", None)?;
        let strides = node.pair("strides", Some([1; 2]))?;
        let given = pads(node, [height, width], size, strides)?;
        node.expect_int("storage_order", 0)?;
        if node.pair("dilations", Some([1; 2]))? != [1; 2] {
            return Err(node
                .wrong("dilations", "[1, 1]", format!("{:?}", node.ints("dilations").unwrap_or_default()))
                .into());
        }
        let rounds_up = node.int("ceil_mode").unwrap_or(0) != 0;
        // A window more is one that begins in the image, and may end behind the padding.
        let mut sides = given.sides;
        for axis in 0..2 {
            let [before, after] = sides[axis];
            let extent = [height, width][axis] + before;
            let Some(steps) = (extent + after).checked_sub(size[axis]) else {
                let found = format!("{height} x {width} pixels");
                return Err(node.problem("an image as large as the window", found).into());
            };
            let more = steps.div_ceil(strides[axis]) * strides[axis];
            if rounds_up && more > steps && more < extent {
                sides[axis][1] = more + size[axis] - extent;
            }
        }
        let is_same = given.is_same && sides == given.sides || {
            let same = [0, 1].map(|axis| same_pads([height, width][axis], size[axis], strides[axis]));
            sides == same
        };
        let window = Window { size, strides, sides, is_same };
        let y = match node.op() {
            "MaxPool" => self.max_pool(node, &x, window)?,
            _ => {
                let counts_padding = node.int("count_include_pad").unwrap_or(0) != 0;
                if counts_padding && sides != given.sides {
                    return Err(node.wrong("ceil_mode", "0, or windows within the padded image", "1").into());
                }
                self.average_pool(node, &x, window, counts_padding)?
            }
        };
        Ok(Batch { node: y, axes: IMAGE.to_vec(), ..x })
    }

    fn max_pool(&mut self, node: &Node<'a>, x: &Batch, window: Window) -> Result<LayerNode> {
        let Window { size, strides, sides, is_same } = window;
        let pool = MaxPooling2D::new(size).strides(strides);
        if is_same && sides != [[0; 2]; 2] {
            return self.push(node, pool.padding(Padding::Same), &[x.node], vec![]);
        }
        // Padding is never the maximum, as zeros are among values of 0 or more.
        if x.is_positive || sides == [[0; 2]; 2] {
            let padded = self.padded(node, x.node, sides)?;
            return self.push(node, pool, &[padded], vec![]);
        }
        // Windows at all places with padding 'same', of which the strides leave some.
        let at_all_places = [0, 1].map(|axis| same_pads(usize::MAX / 2, size[axis], 1));
        if sides != at_all_places {
            let expected = "no padding, padding 'same', or values of 0 or more (after Relu)";
            return Err(node.wrong("pads", expected, format!("{sides:?}")).into());
        }
        let dense = MaxPooling2D::new(size).strides([1; 2]).padding(Padding::Same);
        let dense = self.push(node, dense, &[x.node], vec![])?;
        self.push(node, MaxPooling2D::new([1; 2]).strides(strides), &[dense], vec![])
    }

    fn average_pool(&mut self, node: &Node<'a>, x: &Batch, window: Window, counts_padding: bool) -> Result<LayerNode> {
        let Window { size, strides, sides, is_same } = window;
        let pool = AveragePooling2D::new(size).strides(strides);
        match counts_padding || sides == [[0; 2]; 2] {
            true => {
                let padded = self.padded(node, x.node, sides)?;
                self.push(node, pool, &[padded], vec![])
            }
            false if is_same => self.push(node, pool.padding(Padding::Same), &[x.node], vec![]),
            false => {
                let expected = "no padding, padding 'same', or count_include_pad of 1";
                Err(node.wrong("pads", expected, format!("{sides:?}")).into())
            }
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
