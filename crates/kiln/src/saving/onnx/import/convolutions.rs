//! Conv, ConvTranspose, Gemm and MatMul: products with kernels, and their bias.

use super::super::export::same_pads;
use super::batch::Batch;
use super::constant::Constant;
use super::node::Node;
use super::space::{NO_SIDES, Space, pads, sides};
use super::{Importer, Result, layer_name};
use crate::layers::{Conv1D, Conv2D, Conv2DTranspose, Dense, DepthwiseConv2D, Padding, SequencePadding};

/// The extents of a kernel `[K, C, ...]`, which the attribute repeats.
fn kernel_size(node: &Node<'_>, kernel: &Constant, axes: usize) -> Result<[usize; 2], String> {
    let found = match kernel.dims[..] {
        [_, _, rows, columns] if axes == 2 => Some([rows, columns]),
        [_, _, steps] if axes == 1 => Some([steps, 1]),
        _ => None,
    };
    let found = found.filter(|_| kernel.elements() > 0);
    let size = node.pair("kernel_shape", found, axes)?;
    let wrong = || node.problem(format!("a kernel of {} axes, as its input", axes + 2), format!("{:?}", kernel.dims));
    found.filter(|found| *found == size).ok_or_else(wrong)
}

impl<'a> Importer<'a> {
    /// The name of a layer: that of its kernel without its last part, as PyTorch and Kiln name them, or the node's.
    pub(super) fn name_by_kernel(&self, node: &Node<'a>, index: usize) -> String {
        let kernel = node.input(index).unwrap_or_default();
        let endings = [".weight", "/kernel", "/depthwise_kernel", "/pointwise_kernel", "/gamma"];
        let layer = endings.iter().find_map(|ending| kernel.strip_suffix(ending)).filter(|layer| !layer.is_empty());
        layer.map_or_else(|| layer_name(node.name()), layer_name)
    }

    /// The bias of a node, or of the Add that follows, and the name of the sum: one value for each channel, which are an axis
    /// of an output of this rank.
    fn bias(
        &mut self,
        node: &Node<'a>,
        index: usize,
        channels: usize,
        (axis, rank): (usize, usize),
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
        // With more axes than the output, the sum has them too.
        let missing = rank.checked_sub(constant.dims.len());
        let is_at = |(i, &extent): (usize, &usize)| extent == 1 || missing.is_some_and(|missing| i + missing == axis);
        let is_bias =
            constant.elements() == channels && missing.is_some() && constant.dims.iter().enumerate().all(is_at);
        match add.outputs().first().filter(|_| is_bias) {
            Some(sum) => {
                self.done.insert(user);
                Ok((Some(constant.values()), sum))
            }
            None => Ok((None, output)),
        }
    }

    /// A convolution of images or sequences.
    pub(super) fn conv(&mut self, node: &Node<'a>) -> Result<Batch> {
        let kernel = self.constant(node, 1)?;
        let x = self.spatial(node, 0)?;
        let Space { extents, channels, axes } = self.space(&x);
        let groups = match node.int("group").unwrap_or(1) {
            group @ 1.. => usize::try_from(group).unwrap_or(usize::MAX),
            group => return Err(node.wrong("group", "1 or more", group.to_string()).into()),
        };
        let (filters, of_group) = (kernel.dims.first().copied().unwrap_or(0), kernel.dims.get(1).copied().unwrap_or(0));
        let size = kernel_size(node, &kernel, axes)?;
        if filters == 0 || of_group.checked_mul(groups) != Some(channels) {
            let expected = format!("a kernel [filters, {channels} / group, extents of the window]");
            return Err(node.problem(expected, format!("{:?}", kernel.dims)).into());
        }
        let strides = node.pair("strides", Some([1; 2]), axes)?;
        let dilation = node.pair("dilations", Some([1; 2]), axes)?;
        let window = [0, 1].map(|axis| (size[axis] - 1).saturating_mul(dilation[axis]).saturating_add(1));
        let pads = pads(node, axes, extents, window, strides)?;
        let (bias, output) = self.bias(node, 2, filters, (1, axes + 2))?;
        let use_bias = bias.is_some();
        let is_causal = axes == 1 && pads.sides[0] == [window[0] - 1, 0];
        let padding = match pads.is_same && pads.sides != NO_SIDES {
            true => SequencePadding::Same,
            false if is_causal && window[0] > 1 => SequencePadding::Causal,
            false => SequencePadding::Valid,
        };
        let input = if padding == SequencePadding::Valid { self.padded(node, x.node, pads.sides)? } else { x.node };
        let of_images = if padding == SequencePadding::Same { Padding::Same } else { Padding::Valid };
        let name = self.name_by_kernel(node, 1);
        let weights = |kernel: Constant| [kernel.values()].into_iter().chain(bias).collect();
        let y = if axes == 1 {
            let layer = Conv1D::new(filters, size[0]).groups(groups).strides(strides[0]);
            let layer = layer.padding(padding).dilation_rate(dilation[0]).use_bias(use_bias);
            self.push_named(node, name, layer, &[input], weights(kernel.transposed(&[2, 1, 0])))?
        } else if groups == channels && groups > 1 && filters % channels == 0 {
            // [C M, 1, R, S] as [R, S, C, M]
            let layer = DepthwiseConv2D::new(size).depth_multiplier(filters / channels);
            let layer = layer.strides(strides).padding(of_images).dilation_rate(dilation).use_bias(use_bias);
            self.push_named(node, name, layer, &[input], weights(kernel.transposed(&[2, 3, 0, 1])))?
        } else {
            let layer = Conv2D::new(filters, size).groups(groups).strides(strides);
            let layer = layer.padding(of_images).dilation_rate(dilation).use_bias(use_bias);
            self.push_named(node, name, layer, &[input], weights(kernel.transposed(&[2, 3, 1, 0])))?
        };
        self.put(node, output, Batch { node: y, is_positive: false, ..x })
    }

    /// Inserts the value of a node whose layer includes the nodes up to this output.
    pub(super) fn put(&mut self, node: &Node<'a>, output: &'a str, batch: Batch) -> Result<Batch> {
        if node.outputs().first().map(String::as_str) != Some(output) {
            self.values.insert(output, super::Value::Batch(batch.clone()));
        }
        Ok(batch)
    }

    /// A transposed convolution; that of sequences is one of images with one column.
    pub(super) fn conv_transpose(&mut self, node: &Node<'a>) -> Result<Batch> {
        let kernel = self.constant(node, 1)?;
        let x = self.spatial(node, 0)?;
        let Space { extents, channels, axes } = self.space(&x);
        node.expect_int("group", 1)?;
        if node.ints("output_shape").is_some() {
            return Err(node.wrong("output_shape", "pads and output_padding instead", "a shape").into());
        }
        let (inputs, filters) = (kernel.dims.first().copied().unwrap_or(0), kernel.dims.get(1).copied().unwrap_or(0));
        let size = kernel_size(node, &kernel, axes)?;
        if filters == 0 || inputs != channels {
            let expected = format!("a kernel [{channels}, filters, extents of the window]");
            return Err(node.problem(expected, format!("{:?}", kernel.dims)).into());
        }
        let strides = node.pair("strides", Some([1; 2]), axes)?;
        let dilation = node.pair("dilations", Some([1; 2]), axes)?;
        let added = node.ints("output_padding").unwrap_or_else(|| vec![0; axes]);
        let small: Option<Vec<usize>> =
            added.iter().map(|&n| usize::try_from(n).ok().filter(|n| *n < 1 << 15)).collect();
        let added = match (small.as_deref(), axes) {
            (Some(&[down]), 1) => [down, 0],
            (Some(&[down, right]), 2) => [down, right],
            _ => {
                let expected = "a number of 0 or more for each axis";
                return Err(node.wrong("output_padding", expected, format!("{added:?}")).into());
            }
        };
        let window = [0, 1].map(|axis| (size[axis] - 1).saturating_mul(dilation[axis]).saturating_add(1));
        let whole = [0, 1].map(|axis| {
            let last = (extents[axis] - 1).saturating_mul(strides[axis]);
            last.saturating_add(window[axis]).saturating_add(added[axis])
        });
        // The output of padding 'same' has as many pixels per pixel of the input as the strides.
        let enlarged = [0, 1].map(|axis| extents[axis].saturating_mul(strides[axis]));
        let same = [0, 1].map(|axis| same_pads(enlarged[axis], window[axis], strides[axis]));
        let given = node.ints("pads");
        let cropped = match node.string("auto_pad").unwrap_or("NOTSET") {
            "" | "NOTSET" => sides(node, axes, given)?,
            "VALID" => NO_SIDES,
            "SAME_UPPER" => {
                let totals = [0, 1].map(|axis| whole[axis].checked_sub(enlarged[axis]));
                let [Some(rows), Some(columns)] = totals else {
                    return Err(node.wrong("auto_pad", "windows as large as the strides", "SAME_UPPER").into());
                };
                [rows, columns].map(|total| [total / 2, total - total / 2])
            }
            found => return Err(node.wrong("auto_pad", "NOTSET, VALID or SAME_UPPER", found).into()),
        };
        let output = [0, 1].map(|axis| whole[axis].checked_sub(cropped[axis][0] + cropped[axis][1]));
        let is_same = cropped == same && output == enlarged.map(Some);
        let (bias, sum) = self.bias(node, 2, filters, (1, axes + 2))?;
        let name = self.name_by_kernel(node, 1);
        let kernel = if axes == 1 { kernel.transposed(&[2, 1, 0]) } else { kernel.transposed(&[2, 3, 1, 0]) };
        let layer =
            Conv2DTranspose::new(filters, size).strides(strides).dilation_rate(dilation).use_bias(bias.is_some());
        let layer = if is_same { layer.padding(Padding::Same) } else { layer.output_padding(added) };
        let images = self.as_images(node, x.node)?;
        let weights = [kernel.values()].into_iter().chain(bias).collect();
        let mut y = self.push_named(node, name, layer, &[images], weights)?;
        if !is_same {
            y = self.cropped(node, y, cropped)?;
        }
        let y = if axes == 1 { self.as_sequences(node, y)? } else { y };
        self.put(node, sum, Batch { node: y, is_positive: false, ..x })
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
            _ => self.bias(node, 2, units, (1, 2))?,
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
        let rank = self.flat_batch(node, 0)?.axes.len();
        let (bias, output) = self.bias(node, 2, kernel.dims[1], (rank.max(1) - 1, rank))?;
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
