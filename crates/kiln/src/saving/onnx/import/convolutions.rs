//! Conv, ConvTranspose, Gemm and MatMul.

use super::super::export::same_pads;
use super::batch::{Batch, IMAGE};
use super::constant::Constant;
use super::node::Node;
use super::{Importer, Result, layer_name};
use crate::layers::{Conv2D, Conv2DTranspose, Cropping2D, Dense, DepthwiseConv2D, Padding, ZeroPadding2D};
use crate::network::Node as LayerNode;

/// The rows and columns around images: `[[top, bottom], [left, right]]`.
pub(super) type Sides = [[usize; 2]; 2];

/// The padding of a convolution or pooling.
pub(super) struct Pads {
    pub sides: Sides,
    /// Whether they are Keras' padding 'same'.
    pub is_same: bool,
}

impl Pads {
    pub fn is_none(&self) -> bool {
        self.sides == [[0; 2]; 2]
    }
}

/// The padding of windows, dilated, over images with these extents.
pub(super) fn pads(
    node: &Node<'_>,
    extents: [usize; 2],
    window: [usize; 2],
    strides: [usize; 2],
) -> Result<Pads, String> {
    let same: Sides = [0, 1].map(|axis| same_pads(extents[axis], window[axis], strides[axis]));
    let given = node.ints("pads");
    let sides = match node.string("auto_pad").unwrap_or("NOTSET") {
        "SAME_UPPER" => same,
        "SAME_LOWER" => same.map(|[small, large]| [large, small]),
        "VALID" => [[0; 2]; 2],
        "" | "NOTSET" => sides(node, given)?,
        found => return Err(node.wrong("auto_pad", "NOTSET, VALID, SAME_UPPER or SAME_LOWER", found)),
    };
    Ok(Pads { sides, is_same: sides == same })
}

/// The sides of `[top, left, bottom, right]`.
pub(super) fn sides(node: &Node<'_>, pads: Option<Vec<i64>>) -> Result<Sides, String> {
    let Some(pads) = pads else { return Ok([[0; 2]; 2]) };
    let small: Option<Vec<usize>> =
        pads.iter().map(|&pad| usize::try_from(pad).ok().filter(|&pad| pad < 1 << 30)).collect();
    match small.as_deref() {
        Some(&[top, left, bottom, right]) => Ok([[top, bottom], [left, right]]),
        _ => Err(node.wrong("pads", "four numbers of 0 or more, for height and width", format!("{pads:?}"))),
    }
}

impl<'a> Importer<'a> {
    /// The name of a layer: that of its kernel without its last part, as PyTorch and Kiln name them, or the node's.
    pub(super) fn name_by_kernel(&self, node: &Node<'a>, index: usize) -> String {
        let kernel = node.input(index).unwrap_or_default();
        let endings = [".weight", "/kernel", "/depthwise_kernel", "/pointwise_kernel", "/gamma"];
        let layer = endings.iter().find_map(|ending| kernel.strip_suffix(ending)).filter(|layer| !layer.is_empty());
        layer.map_or_else(|| layer_name(node.name()), layer_name)
    }

    /// The extents of an image's height and width, and of its channels.
    pub(super) fn extents(&self, batch: &Batch) -> [usize; 3] {
        self.sample(batch).try_into().unwrap_or_default()
    }

    /// The bias of a node, or of the Add that follows.
    fn bias(
        &mut self,
        node: &Node<'a>,
        index: usize,
        channels: usize,
        axis: usize,
    ) -> Result<(Option<Vec<f32>>, &'a str)> {
        let output = node.outputs().first().map(String::as_str).unwrap_or_default();
        if let Some(bias) = self.optional(node, index)? {
            let is_last = channels == 1 || bias.dims.last() == Some(&channels);
            let is_one_each = bias.elements() == channels && is_last;
            let found = format!("{:?}", bias.dims);
            return match is_one_each {
                true => Ok((Some(bias.values()), output)),
                false => Err(node.problem(format!("a bias of {channels} values"), found).into()),
            };
        }
        let Some((user, add)) = self.only_user(output).filter(|(_, user)| user.op() == "Add") else {
            return Ok((None, output));
        };
        let other = add.inputs().iter().position(|name| name != output).unwrap_or(0);
        if !add.input(other).is_some_and(|name| self.is_constant(name)) {
            return Ok((None, output));
        }
        let constant = self.constant(&add, other)?;
        let rank = constant.dims.len();
        let is_bias = constant.elements() == channels
            && constant.dims.iter().enumerate().all(|(i, &extent)| extent == 1 || rank - i == axis);
        match add.outputs().first().filter(|_| is_bias) {
            Some(sum) => {
                self.done.insert(user);
                Ok((Some(constant.values()), sum))
            }
            None => Ok((None, output)),
        }
    }

    /// The images with zeros around them.
    pub(super) fn padded(&mut self, node: &Node<'a>, x: LayerNode, sides: Sides) -> Result<LayerNode> {
        match sides == [[0; 2]; 2] {
            true => Ok(x),
            false => {
                let name = format!("{}_pad", layer_name(node.name()));
                self.push_named(node, name, ZeroPadding2D::new(sides), &[x], vec![])
            }
        }
    }

    pub(super) fn conv(&mut self, node: &Node<'a>) -> Result<Batch> {
        let kernel = self.constant(node, 1)?;
        let x = self.image(node, 0)?;
        let [height, width, channels] = self.extents(&x);
        let &[filters, of_group, rows, columns] = &kernel.dims[..] else {
            return Err(node
                .problem("a kernel of 4 axes (Kiln has convolutions of images)", format!("{:?}", kernel.dims))
                .into());
        };
        let size = node.pair("kernel_shape", Some([rows, columns]))?;
        let groups = node.int("group").and_then(|group| usize::try_from(group).ok()).unwrap_or(1);
        if size != [rows, columns] || kernel.elements() == 0 || of_group.checked_mul(groups) != Some(channels) {
            let expected = format!("a kernel [filters, {channels} / group, rows, columns]");
            return Err(node.problem(expected, format!("{:?}", kernel.dims)).into());
        }
        let (strides, dilation) = (node.pair("strides", Some([1; 2]))?, node.pair("dilations", Some([1; 2]))?);
        let window = [0, 1].map(|axis| (size[axis] - 1) * dilation[axis] + 1);
        let pads = pads(node, [height, width], window, strides)?;
        let (bias, output) = self.bias(node, 2, filters, 3)?;
        let is_same = pads.is_same && !pads.is_none();
        let padding = if is_same { Padding::Same } else { Padding::Valid };
        let input = if is_same { x.node } else { self.padded(node, x.node, pads.sides)? };
        let name = self.name_by_kernel(node, 1);
        let use_bias = bias.is_some();
        let y = if groups == channels && groups > 1 && filters % channels == 0 {
            // [C M, 1, R, S] as [R, S, C, M]
            let multiplier = filters / channels;
            let values = kernel.transposed(&[2, 3, 0, 1]).values();
            let layer = DepthwiseConv2D::new(size).depth_multiplier(multiplier);
            let layer = layer.strides(strides).padding(padding).dilation_rate(dilation).use_bias(use_bias);
            self.push_named(node, name, layer, &[input], [values].into_iter().chain(bias).collect())?
        } else {
            let values = kernel.transposed(&[2, 3, 1, 0]).values();
            let layer = Conv2D::new(filters, size).groups(groups);
            let layer = layer.strides(strides).padding(padding).dilation_rate(dilation).use_bias(use_bias);
            self.push_named(node, name, layer, &[input], [values].into_iter().chain(bias).collect())?
        };
        self.put(node, output, Batch { node: y, axes: IMAGE.to_vec(), is_positive: false, flat: None })
    }

    /// Inserts the value of a node whose layer includes the nodes up to this output.
    pub(super) fn put(&mut self, node: &Node<'a>, output: &'a str, batch: Batch) -> Result<Batch> {
        if node.outputs().first().map(String::as_str) != Some(output) {
            self.values.insert(output, super::Value::Batch(batch.clone()));
        }
        Ok(batch)
    }

    pub(super) fn conv_transpose(&mut self, node: &Node<'a>) -> Result<Batch> {
        let kernel = self.constant(node, 1)?;
        let x = self.image(node, 0)?;
        let [height, width, channels] = self.extents(&x);
        let &[inputs, filters, rows, columns] = &kernel.dims[..] else {
            return Err(node
                .problem("a kernel of 4 axes (Kiln has convolutions of images)", format!("{:?}", kernel.dims))
                .into());
        };
        node.expect_int("group", 1)?;
        if node.ints("output_shape").is_some() {
            return Err(node.wrong("output_shape", "pads and output_padding instead", "a shape").into());
        }
        let size = node.pair("kernel_shape", Some([rows, columns]))?;
        if size != [rows, columns] || kernel.elements() == 0 || inputs != channels {
            let expected = format!("a kernel [{channels}, filters, rows, columns]");
            return Err(node.problem(expected, format!("{:?}", kernel.dims)).into());
        }
        let (strides, dilation) = (node.pair("strides", Some([1; 2]))?, node.pair("dilations", Some([1; 2]))?);
        let added = node.ints("output_padding").unwrap_or_else(|| vec![0; 2]);
        let added: [usize; 2] = match added[..] {
            [down, right] if (0..1 << 15).contains(&down) && (0..1 << 15).contains(&right) => {
                [down as usize, right as usize]
            }
            _ => return Err(node.wrong("output_padding", "two numbers of 0 or more", format!("{added:?}")).into()),
        };
        let window = [0, 1].map(|axis| (size[axis] - 1) * dilation[axis] + 1);
        let whole = [0, 1].map(|axis| ([height, width][axis] - 1) * strides[axis] + window[axis]);
        let given = node.ints("pads");
        // The output of padding 'same' has as many pixels per pixel of the input as the strides.
        let same = [0, 1].map(|axis| same_pads([height, width][axis] * strides[axis], window[axis], strides[axis]));
        let enlarged = [0, 1].map(|axis| [height, width][axis] * strides[axis]);
        let cropped = match node.string("auto_pad").unwrap_or("NOTSET") {
            "" | "NOTSET" | "VALID" => sides(node, given)?,
            "SAME_UPPER" => [0, 1].map(|axis| {
                let total = (whole[axis] + added[axis]).saturating_sub(enlarged[axis]);
                [total / 2, total - total / 2]
            }),
            found => return Err(node.wrong("auto_pad", "NOTSET, VALID or SAME_UPPER", found).into()),
        };
        let output = [0, 1].map(|axis| (whole[axis] + added[axis]).checked_sub(cropped[axis][0] + cropped[axis][1]));
        let is_same = cropped == same && output == enlarged.map(Some);
        let (bias, sum) = self.bias(node, 2, filters, 3)?;
        let name = self.name_by_kernel(node, 1);
        let values = kernel.transposed(&[2, 3, 1, 0]).values();
        let layer =
            Conv2DTranspose::new(filters, size).strides(strides).dilation_rate(dilation).use_bias(bias.is_some());
        let layer = if is_same { layer.padding(Padding::Same) } else { layer.output_padding(added) };
        let mut y = self.push_named(node, name, layer, &[x.node], [values].into_iter().chain(bias).collect())?;
        if !is_same && cropped != [[0; 2]; 2] {
            let name = format!("{}_crop", layer_name(node.name()));
            y = self.push_named(node, name, Cropping2D::new(cropped), &[y], vec![])?;
        }
        self.put(node, sum, Batch { node: y, axes: IMAGE.to_vec(), is_positive: false, flat: None })
    }

    pub(super) fn gemm(&mut self, node: &Node<'a>) -> Result<Batch> {
        let kernel = self.constant(node, 1)?;
        if kernel.dims.len() != 2 {
            return Err(node.problem("a matrix as input B", format!("{:?}", kernel.dims)).into());
        }
        node.expect_int("transA", 0)?;
        let is_transposed = node.int("transB").unwrap_or(0) != 0;
        let kernel = if is_transposed { kernel.transposed(&[1, 0]) } else { kernel };
        let (alpha, beta) = (node.float("alpha").unwrap_or(1.0), node.float("beta").unwrap_or(1.0));
        let units = kernel.dims[1];
        let (bias, output) = match self.optional(node, 2)? {
            // A number, or one for each unit.
            Some(bias) if bias.elements() == 1 && units > 1 => {
                (Some(vec![bias.values()[0]; units]), node.outputs().first().map_or("", String::as_str))
            }
            _ => self.bias(node, 2, units, 1)?,
        };
        // The factor is that of the input, not of an Add that follows.
        let factor = if node.input(2).is_some() { beta } else { 1.0 };
        let bias = bias.map(|bias| bias.into_iter().map(|value| value * factor).collect());
        self.dense(node, kernel, alpha, bias, output)
    }

    pub(super) fn matmul(&mut self, node: &Node<'a>) -> Result<Batch> {
        let kernel = self.constant(node, 1)?;
        if kernel.dims.len() != 2 {
            return Err(node.problem("a constant matrix as the second factor", format!("{:?}", kernel.dims)).into());
        }
        let (bias, output) = self.bias(node, 2, kernel.dims[1], 1)?;
        self.dense(node, kernel, 1.0, bias, output)
    }

    fn dense(
        &mut self,
        node: &Node<'a>,
        kernel: Constant,
        alpha: f32,
        bias: Option<Vec<f32>>,
        output: &'a str,
    ) -> Result<Batch> {
        let x = self.flat_batch(node, 0)?;
        let rank = x.axes.len();
        // The last axis of the graph's value is Kiln's last one, then.
        let axes: Vec<usize> = (0..rank).collect();
        let x = if x.flat.is_some() { x } else { self.arranged(node, x, &axes)? };
        let (features, units) = (kernel.dims[0], kernel.dims[1]);
        if self.sample(&x).last() != Some(&features) {
            let found = format!("{:?}", self.sample(&x));
            return Err(node.problem(format!("an input with {features} as its last extent"), found).into());
        }
        let mut values = kernel.values();
        if let Some(flat) = &x.flat {
            let rows = flat.places();
            values = rows.iter().flat_map(|&row| &values[row * units..(row + 1) * units]).copied().collect();
        }
        if alpha != 1.0 {
            values.iter_mut().for_each(|value| *value *= alpha);
        }
        let layer = Dense::new(units).use_bias(bias.is_some());
        let name = self.name_by_kernel(node, 1);
        let y = self.push_named(node, name, layer, &[x.node], [values].into_iter().chain(bias).collect())?;
        self.put(node, output, Batch { node: y, axes, is_positive: false, flat: None })
    }
}
