//! Operators that move values: reshaped, transposed, padded and concatenated.

use super::batch::{Batch, Flat, Regrouped, regrouped};
use super::constant::{BATCH, shown};
use super::node::Node;
use super::space::sides;
use super::{Importer, Result};
use crate::layers::{Concatenate, Dropout, Flatten, Reshape};

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

    /// Images or sequences whose axes, but for the batch and another one, these may be: height and width, or steps in Kiln.
    fn space_with(&mut self, node: &Node<'a>, changed: &[usize]) -> Result<Batch> {
        let x = self.batch(node, 0)?;
        let rank = x.axes.len();
        let fixed = [1, 3, 2].into_iter().find(|axis| *axis < rank && !changed.contains(axis));
        let channels = fixed.filter(|_| [3, 4].contains(&rank) && !changed.contains(&0));
        let channels = channels.ok_or_else(|| {
            let expected = "one axis of sequences or two of images, after the batch";
            node.wrong("axes", expected, format!("{changed:?} of {rank} axes"))
        })?;
        if x.axes[0] == 0 && x.axes.last().is_some_and(|last| !changed.contains(last)) {
            return Ok(x);
        }
        let others = (1..rank).filter(|&axis| axis != channels);
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
        let x = self.batch(node, 0)?;
        let rank = x.axes.len();
        let axes = self.optional(node, 3)?;
        let axes = match axes.as_ref().map(|axes| axes.ints()) {
            Some(axes) => node.axes(axes.ok_or_else(|| node.wrong("axes", "whole numbers", "floats"))?, rank)?,
            None => (0..rank).collect(),
        };
        let wrong = || node.wrong("pads", "numbers for both sides of each axis", format!("{pads:?}"));
        let mut all = vec![[0i64; 2]; rank];
        for (index, &axis) in axes.iter().enumerate() {
            let at = |index: usize| pads.get(index).copied().ok_or_else(wrong);
            all[axis] = [at(index)?, at(index + axes.len())?];
        }
        if pads.len() != 2 * axes.len() {
            return Err(wrong().into());
        }
        let changed: Vec<usize> = (0..rank).filter(|&axis| all[axis] != [0; 2]).collect();
        if changed.is_empty() {
            return Ok(x);
        }
        let x = self.space_with(node, &changed)?;
        let spatial: Vec<[i64; 2]> = x.axes[1..rank - 1].iter().map(|&axis| all[axis]).collect();
        let added = || [0, 1].into_iter().flat_map(|side| spatial.iter().map(move |pads| pads[side]));
        let outside = sides(node, rank - 2, Some(added().map(|pad| pad.max(0)).collect()))?;
        let inside = sides(node, rank - 2, Some(added().map(|pad| pad.min(0).saturating_neg()).collect()))?;
        let y = self.padded(node, x.node, outside)?;
        let y = self.cropped(node, y, inside)?;
        Ok(Batch { node: y, ..x })
    }
}
