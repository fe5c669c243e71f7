//! Operators that move values: reshaped, transposed, padded, cut out, resized and concatenated.

use super::batch::{Batch, Flat, IMAGE, Regrouped, regrouped};
use super::constant::{BATCH, shown};
use super::convolutions::{Sides, sides};
use super::node::Node;
use super::{Importer, Result};
use crate::layers::{
    Concatenate, Cropping2D, Dropout, Flatten, Identity, Interpolation, Reshape, Resizing, UpSampling2D,
};

impl<'a> Importer<'a> {
    /// Identity, a Cast between types of floats, or Dropout.
    pub(super) fn copy(&mut self, node: &Node<'a>) -> Result<Batch> {
        let x = self.flat_batch(node, 0)?;
        match node.op() {
            "Cast" if !node.is_float_type(node.int("to").unwrap_or_default())? => {
                return Err(node.wrong("to", "a type of floats", "one of whole numbers").into());
            }
            "Cast" => {
                node.int("saturate");
            }
            "Dropout" => {
                let given = self.number(node, 1)?;
                let rate = given.or(node.float("ratio")).unwrap_or(0.5);
                node.int("seed");
                let training = self.number(node, 2)?.unwrap_or(0.0);
                if training != 0.0 {
                    return Err(node.wrong("training_mode", "false", "true").into());
                }
                let y = self.push(node, Dropout::new(f64::from(rate)), &[x.node], vec![])?;
                return Ok(Batch { node: y, ..x });
            }
            _ => {}
        }
        // The output of a model is that of a layer.
        let is_output = node.outputs().first().is_some_and(|name| self.graph.output[0].name == *name);
        if is_output && x.node == self.model.input() {
            let y = self.push(node, Identity::default(), &[x.node], vec![])?;
            return Ok(Batch { node: y, ..x });
        }
        Ok(x)
    }

    /// Flatten, Reshape, Squeeze or Unsqueeze.
    pub(super) fn reshape(&mut self, node: &Node<'a>) -> Result<Batch> {
        let x = self.flat_batch(node, 0)?;
        let dims = self.dims(&x);
        let given = self.optional(node, 1)?;
        let target = node.target(&dims, given.as_ref())?;
        if target == dims {
            return Ok(x);
        }
        let x = self.ordered(node, x)?;
        let extents: Option<Vec<usize>> = match target.split_first() {
            Some((&BATCH, sample)) => sample.iter().map(|&extent| usize::try_from(extent).ok()).collect(),
            _ => None,
        };
        let Some(sample) = extents.filter(|_| x.axes[0] == 0) else {
            return Err(node
                .problem("a shape whose first axis is the batch", format!("{} of {}", shown(&target), shown(&dims)))
                .into());
        };
        let input: Vec<usize> = dims.iter().map(|&extent| usize::try_from(extent).unwrap_or(1)).collect();
        let output: Vec<usize> = [1].into_iter().chain(sample.iter().copied()).collect();
        if input.iter().product::<usize>() != output.iter().product::<usize>() {
            return Err(node.problem(format!("a shape for {input:?}"), format!("{output:?}")).into());
        }
        match regrouped(&x.axes, &input, &output) {
            Regrouped::Axes(axes) => self.regroup(node, x, axes, &output),
            Regrouped::Scrambled if sample.len() == 1 => {
                let flat = Flat { sample: self.sample(&x), axes: x.axes[1..].iter().map(|axis| axis - 1).collect() };
                let y = self.push(node, Flatten, &[x.node], vec![])?;
                Ok(Batch { node: y, axes: vec![0, 1], flat: Some(flat), ..x })
            }
            Regrouped::Scrambled => {
                let axes: Vec<usize> = (0..x.axes.len()).collect();
                let x = self.arranged(node, x, &axes)?;
                match regrouped(&axes, &input, &output) {
                    Regrouped::Axes(axes) => self.regroup(node, x, axes, &output),
                    Regrouped::Scrambled => {
                        Err(node.problem("a shape of as many elements", format!("{output:?}")).into())
                    }
                }
            }
        }
    }

    fn regroup(&mut self, node: &Node<'a>, x: Batch, axes: Vec<usize>, output: &[usize]) -> Result<Batch> {
        let sample: Vec<usize> = axes[1..].iter().map(|&axis| output[axis]).collect();
        let y = match &sample[..] {
            same if same == self.sample(&x) => x.node,
            [_] => self.push(node, Flatten, &[x.node], vec![])?,
            _ => {
                let shape: Vec<i64> = sample.iter().map(|&extent| extent as i64).collect();
                self.push(node, Reshape::new(shape), &[x.node], vec![])?
            }
        };
        Ok(Batch { node: y, axes, ..x })
    }

    /// Changes the order of axes, but no value.
    pub(super) fn transpose(&mut self, node: &Node<'a>) -> Result<Batch> {
        let x = self.batch(node, 0)?;
        let rank = x.axes.len();
        let reverse = || (0..rank as i64).rev().collect();
        let perm = node.axes(&node.ints("perm").unwrap_or_else(reverse), rank)?;
        let place = |axis: &usize| perm.iter().position(|found| found == axis);
        let axes: Option<Vec<usize>> = x.axes.iter().map(place).collect();
        let axes = axes.filter(|_| perm.len() == rank);
        Ok(Batch { axes: axes.ok_or_else(|| node.wrong("perm", "each axis once", format!("{perm:?}")))?, ..x })
    }

    pub(super) fn concat(&mut self, node: &Node<'a>) -> Result<Batch> {
        let mut batches = Vec::new();
        for index in 0..node.inputs().len() {
            batches.push(self.batch(node, index)?);
        }
        let first = batches.first().cloned().ok_or_else(|| node.problem("inputs", "none"))?;
        let rank = first.axes.len();
        let axis = node.axes(&[node.int("axis").unwrap_or(1)], rank)?[0];
        if axis == 0 {
            return Err(node.wrong("axis", "another axis than the batch", "0").into());
        }
        // Kiln concatenates along the last axis.
        let others = first.axes.iter().copied().filter(|&found| found != axis);
        let axes: Vec<usize> = others.chain([axis]).collect();
        let is_positive = batches.iter().all(|batch| batch.is_positive);
        let mut inputs = Vec::new();
        for batch in batches {
            if batch.axes.len() != rank {
                return Err(node.problem("inputs of as many axes", "others").into());
            }
            inputs.push(self.arranged(node, batch, &axes)?.node);
        }
        let y = match inputs[..] {
            [single] => single,
            _ => self.push(node, Concatenate::new(), &inputs, vec![])?,
        };
        Ok(Batch { node: y, axes, is_positive, flat: None })
    }

    /// Images whose axes, but for the batch and another one, these may be: height and width in Kiln.
    fn image_with(&mut self, node: &Node<'a>, changed: &[usize]) -> Result<Batch> {
        let x = self.batch(node, 0)?;
        let fixed = [1, 3, 2].into_iter().find(|axis| !changed.contains(axis));
        let channels = fixed.filter(|_| x.axes.len() == IMAGE.len() && !changed.contains(&0));
        let channels = channels.ok_or_else(|| node.wrong("axes", "two of images", format!("{changed:?}")))?;
        if x.axes[0] == 0 && !changed.contains(&x.axes[3]) {
            return Ok(x);
        }
        let others = (1..4).filter(|&axis| axis != channels);
        let order: Vec<usize> = [0].into_iter().chain(others).chain([channels]).collect();
        self.arranged(node, x, &order)
    }

    pub(super) fn pad(&mut self, node: &Node<'a>) -> Result<Batch> {
        let mode = node.string("mode").unwrap_or("constant");
        if mode != "constant" {
            return Err(node.wrong("mode", "constant", mode).into());
        }
        let value = match node.float("value") {
            Some(value) => value,
            None => self.number(node, 2)?.unwrap_or(0.0),
        };
        if value != 0.0 {
            return Err(node.wrong("constant_value", "0", value.to_string()).into());
        }
        let pads = match node.ints("pads") {
            Some(pads) => pads,
            None => {
                let pads = self.constant(node, 1)?;
                pads.ints().ok_or_else(|| node.wrong("pads", "whole numbers", "floats"))?.to_vec()
            }
        };
        let axes = self.optional(node, 3)?;
        let axes = match axes.as_ref().and_then(|axes| axes.ints()) {
            Some(axes) => node.axes(axes, IMAGE.len())?,
            None => (0..IMAGE.len()).collect(),
        };
        let wrong = || node.wrong("pads", "numbers for both sides of each axis", format!("{pads:?}"));
        let mut all = [[0i64; 2]; 4];
        for (index, &axis) in axes.iter().enumerate() {
            let at = |index: usize| pads.get(index).copied().ok_or_else(wrong);
            all[axis] = [at(index)?, at(index + axes.len())?];
        }
        if pads.len() != 2 * axes.len() {
            return Err(wrong().into());
        }
        let changed: Vec<usize> = (0..4).filter(|&axis| all[axis] != [0; 2]).collect();
        let x = self.image_with(node, &changed)?;
        let spatial = [all[x.axes[1]], all[x.axes[2]]];
        let added = [spatial[0][0], spatial[1][0], spatial[0][1], spatial[1][1]];
        let outside = sides(node, Some(added.iter().map(|&pad| pad.max(0)).collect()))?;
        let inside = sides(node, Some(added.iter().map(|&pad| pad.min(0).saturating_neg()).collect()))?;
        let y = self.padded(node, x.node, outside)?;
        let y = self.cropped(node, y, inside)?;
        Ok(Batch { node: y, ..x })
    }

    fn cropped(&mut self, node: &Node<'a>, x: crate::network::Node, cropping: Sides) -> Result<crate::network::Node> {
        match cropping == [[0; 2]; 2] {
            true => Ok(x),
            false => self.push(node, Cropping2D::new(cropping), &[x], vec![]),
        }
    }

    pub(super) fn slice(&mut self, node: &Node<'a>) -> Result<Batch> {
        let x = self.batch(node, 0)?;
        // Of the batch, only all samples can be kept.
        let extent = |&extent: &i64| usize::try_from(extent).unwrap_or(1_000_003);
        let dims: Vec<usize> = self.dims(&x).iter().map(extent).collect();
        let mut inputs = Vec::new();
        for index in 1..node.inputs().len() {
            inputs.push(self.optional(node, index)?);
        }
        let inputs: Vec<_> = inputs.iter().map(Option::as_ref).collect();
        let kept = node.slices(&dims, &inputs)?;
        let is_whole = |axis: usize| kept[axis].iter().copied().eq(0..dims[axis]);
        let changed: Vec<usize> = (0..dims.len()).filter(|&axis| !is_whole(axis)).collect();
        if changed.is_empty() {
            return Ok(x);
        }
        let x = self.image_with(node, &changed)?;
        if kept.iter().any(|kept| kept.is_empty() || kept.windows(2).any(|pair| pair[1] != pair[0] + 1)) {
            return Err(node.wrong("steps", "adjacent rows and columns, at least one", "others").into());
        }
        let cropping = [x.axes[1], x.axes[2]].map(|axis| {
            let first = kept[axis][0];
            [first, dims[axis] - first - kept[axis].len()]
        });
        let y = self.cropped(node, x.node, cropping)?;
        Ok(Batch { node: y, ..x })
    }

    pub(super) fn resize(&mut self, node: &Node<'a>) -> Result<Batch> {
        let x = self.image(node, 0)?;
        let [height, width, _] = self.extents(&x);
        let is_old = node.opset < 11;
        let scales = self.optional(node, if is_old { 1 } else { 2 })?.map(|scales| scales.values());
        let scales = scales.or(node.floats("scales")).filter(|scales| !scales.is_empty());
        let sizes = if is_old { None } else { self.optional(node, 3)? };
        let sizes = sizes.as_ref().and_then(|sizes| sizes.ints()).filter(|sizes| !sizes.is_empty());
        let axes = node.axes(&node.ints("axes").unwrap_or_else(|| (0..4).collect()), 4)?;
        let along = |axis: usize, extent: usize| -> Result<(usize, f64), String> {
            let wrong = || node.problem("scales or sizes of images with up to 32767 pixels along an axis", "others");
            let Some(index) = axes.iter().position(|&found| found == axis) else { return Ok((extent, 1.0)) };
            let (size, scale) = match (&scales, sizes) {
                (Some(scales), _) => {
                    // As runtimes compute the size; a scale is often the nearest float of a ratio.
                    let scale = *scales.get(index).ok_or_else(wrong)?;
                    let size = (extent as f32 * scale).floor() as usize;
                    let (scale, ratio) = (f64::from(scale), size as f64 / extent as f64);
                    (size, if (scale - ratio).abs() < 1e-6 * ratio { ratio } else { scale })
                }
                (None, Some(sizes)) => {
                    let size = *sizes.get(index).ok_or_else(wrong)?;
                    (usize::try_from(size).map_err(|_| wrong())?, size as f64 / extent as f64)
                }
                (None, None) => return Err(wrong()),
            };
            if (1..1 << 15).contains(&size) && scale.is_finite() { Ok((size, scale)) } else { Err(wrong()) }
        };
        let changes = |axis: usize| -> Result<bool, String> {
            let Some(index) = axes.iter().position(|&found| found == axis) else { return Ok(false) };
            let by_scale = scales.as_ref().is_some_and(|scales| scales.get(index) != Some(&1.0));
            let extent = self.dims(&x)[axis];
            let by_size = scales.is_none()
                && sizes.is_some_and(|sizes| {
                    sizes.get(index).is_none_or(|&size| size != extent && (axis != 0 || Some(size) != node.batch))
                });
            Ok(by_scale || by_size)
        };
        if changes(0)? || changes(1)? {
            return Err(node.wrong("scales", "1 for batch and channels", "another factor").into());
        }
        let (rows, columns) = (along(2, height)?, along(3, width)?);
        let interpolation = interpolation(node, [(height, rows), (width, columns)])?;
        let size = [rows.0, columns.0];
        let is_whole = size[0] % height == 0 && size[1] % width == 0;
        let y = if is_whole {
            let layer = UpSampling2D { size: [size[0] / height, size[1] / width], interpolation };
            self.push(node, layer, &[x.node], vec![])?
        } else {
            self.push(node, Resizing::new(size[0], size[1]).interpolation(interpolation), &[x.node], vec![])?
        };
        Ok(Batch { node: y, ..x })
    }
}

/// Kiln's interpolation that has the same result, for extents, and new extents with their scales.
fn interpolation(node: &Node<'_>, axes: [(usize, (usize, f64)); 2]) -> Result<Interpolation, String> {
    node.expect_int("antialias", 0)?;
    node.expect_int("exclude_outside", 0)?;
    node.float("cubic_coeff_a");
    node.float("extrapolation_value");
    let policy = node.string("keep_aspect_ratio_policy").unwrap_or("stretch");
    if policy != "stretch" {
        return Err(node.wrong("keep_aspect_ratio_policy", "stretch", policy));
    }
    let is_old = node.opset < 11;
    let default = if is_old { "asymmetric" } else { "half_pixel" };
    let coordinates = node.string("coordinate_transformation_mode").unwrap_or(default);
    let rounding = node.string("nearest_mode").unwrap_or(if is_old { "floor" } else { "round_prefer_floor" });
    let place = |at: usize, extent: usize, (size, scale): (usize, f64)| match coordinates {
        "half_pixel" => Some((at as f64 + 0.5) / scale - 0.5),
        "pytorch_half_pixel" => Some(if size > 1 { (at as f64 + 0.5) / scale - 0.5 } else { 0.0 }),
        "asymmetric" => Some(at as f64 / scale),
        "align_corners" if size > 1 => Some(at as f64 * (extent - 1) as f64 / (size - 1) as f64),
        "align_corners" => Some(0.0),
        _ => None,
    };
    let unlike = |found: &str| {
        let expected = "half_pixel, or the same result as it has";
        node.wrong("coordinate_transformation_mode", expected, found)
    };
    for (extent, target) in axes {
        for at in 0..target.0 {
            let place = place(at, extent, target).ok_or_else(|| unlike(coordinates))?;
            let last = extent as f64 - 1.0;
            let is_same = match node.string("mode").unwrap_or("nearest") {
                "nearest" => {
                    let rounded = match rounding {
                        "round_prefer_floor" => (place - 0.5).ceil(),
                        "round_prefer_ceil" => (place + 0.5).floor(),
                        "floor" => place.floor(),
                        "ceil" => place.ceil(),
                        found => return Err(node.wrong("nearest_mode", "a known rounding", found)),
                    };
                    rounded.clamp(0.0, last) == ((2 * at + 1) * extent / (2 * target.0)) as f64
                }
                "linear" => {
                    let expected = (at as f64 + 0.5) * extent as f64 / target.0 as f64 - 0.5;
                    (place.clamp(0.0, last) - expected.clamp(0.0, last)).abs() < 1e-4
                }
                found => return Err(node.wrong("mode", "nearest or linear", found)),
            };
            if !is_same {
                return Err(unlike(&format!("{coordinates}, {rounding}")));
            }
        }
    }
    Ok(if node.string("mode").unwrap_or("nearest") == "nearest" {
        Interpolation::Nearest
    } else {
        Interpolation::Bilinear
    })
}
