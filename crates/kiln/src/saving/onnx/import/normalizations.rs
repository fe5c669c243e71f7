//! BatchNormalization, LayerNormalization, InstanceNormalization and GroupNormalization.

use super::batch::{Batch, channels_last};
use super::constant::Constant;
use super::node::Node;
use super::{Importer, Result};
use crate::layers::{BatchNormalization, GroupNormalization, LayerNormalization};

/// The default epsilon and momentum of the operators.
const EPSILON: f32 = 1e-5;
const MOMENTUM: f32 = 0.9;

/// A number with its decimal digits: 0.001, not that of the nearest float.
fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

impl<'a> Importer<'a> {
    /// The values of an input, one for each channel or place with these extents.
    fn values_of(&mut self, node: &Node<'a>, index: usize, extents: &[usize]) -> Result<Vec<f32>> {
        let constant = self.constant(node, index)?;
        let long = |extents: &[usize]| extents.iter().copied().filter(|&extent| extent != 1).collect::<Vec<usize>>();
        match long(&constant.dims) == long(extents) {
            true => Ok(constant.values()),
            false => Err(node.problem(format!("values {extents:?}"), format!("{:?}", constant.dims)).into()),
        }
    }

    pub(super) fn batch_normalization(&mut self, node: &Node<'a>) -> Result<Batch> {
        node.expect_int("training_mode", 0)?;
        // Until version 13, further outputs are those of training.
        if node.opset < 14 && node.outputs().iter().filter(|name| !name.is_empty()).count() > 1 {
            return Err(node.problem("one output, as in predictions", "those of training").into());
        }
        node.expect_int("spatial", 1)?;
        let x = self.flat_batch(node, 0)?;
        let axes = channels_last(x.axes.len());
        let x = if x.flat.is_some() { x } else { self.arranged(node, x, &axes)? };
        let channels = self.sample(&x).last().copied().unwrap_or_default();
        let mut weights = Vec::new();
        for index in 1..=4 {
            let values = self.values_of(node, index, &[channels])?;
            let places = x.flat.as_ref().map(|flat| flat.places());
            weights.push(
                places.map_or_else(|| values.clone(), |places| places.iter().map(|&place| values[place]).collect()),
            );
        }
        let layer = BatchNormalization::new()
            .epsilon(decimal(node.float("epsilon").unwrap_or(EPSILON)))
            .momentum(decimal(node.float("momentum").unwrap_or(MOMENTUM)));
        let name = self.name_by_kernel(node, 1);
        let y = self.push_named(node, name, layer, &[x.node], weights)?;
        Ok(Batch { node: y, is_positive: false, ..x })
    }

    pub(super) fn layer_normalization(&mut self, node: &Node<'a>) -> Result<Batch> {
        let x = self.batch(node, 0)?;
        let rank = x.axes.len();
        let axis = node.axes(&[node.int("axis").unwrap_or(-1)], rank)?[0];
        node.expect_int("stash_type", 1)?;
        if axis == 0 || x.axes[0] != 0 {
            return Err(node.wrong("axis", "an axis after the batch", axis.to_string()).into());
        }
        // Kiln's axes, and the order of the graph's among them.
        let places: Vec<usize> = (1..rank).filter(|&place| x.axes[place] >= axis).collect();
        let order: Vec<usize> = places.iter().map(|&place| x.axes[place] - axis).collect();
        let dims = self.dims(&x);
        let dims: Vec<usize> = dims[axis..].iter().map(|&extent| extent as usize).collect();
        let scale = self.values_of(node, 1, &dims)?;
        let shift = if node.input(2).is_some() { Some(self.values_of(node, 2, &dims)?) } else { None };
        let of_kiln = |values: Vec<f32>| Constant::floats(dims.clone(), values).transposed(&order).values();
        let weights = [Some(scale), shift.clone()].into_iter().flatten().map(of_kiln).collect();
        let layer = LayerNormalization::new()
            .axis(places.iter().map(|&place| place as i64).collect::<Vec<i64>>())
            .epsilon(decimal(node.float("epsilon").unwrap_or(EPSILON)))
            .center(shift.is_some());
        let name = self.name_by_kernel(node, 1);
        let y = self.push_named(node, name, layer, &[x.node], weights)?;
        Ok(Batch { node: y, is_positive: false, ..x })
    }

    pub(super) fn group_normalization(&mut self, node: &Node<'a>) -> Result<Batch> {
        let x = self.batch(node, 0)?;
        let x = self.arranged(node, x.clone(), &channels_last(x.axes.len()))?;
        let channels = self.sample(&x).last().copied().unwrap_or_default();
        node.expect_int("stash_type", 1)?;
        let groups = match node.op() {
            "InstanceNormalization" => -1,
            // Kiln's -1 is a group for each channel.
            _ => match node.int("num_groups").unwrap_or(0) {
                groups @ 1.. => groups,
                groups => return Err(node.wrong("num_groups", "1 or more", groups.to_string()).into()),
            },
        };
        let of_group = usize::try_from(groups).ok().filter(|&groups| groups > 0 && channels.is_multiple_of(groups));
        let mut weights = Vec::new();
        for index in 1..=2 {
            // Until version 20, groups had one value each.
            let values = match of_group.filter(|_| node.opset < 21) {
                Some(groups) => {
                    let values = self.values_of(node, index, &[groups])?;
                    values.iter().flat_map(|&value| vec![value; channels / groups]).collect()
                }
                None => self.values_of(node, index, &[channels])?,
            };
            weights.push(values);
        }
        let layer = GroupNormalization::new(groups).epsilon(decimal(node.float("epsilon").unwrap_or(EPSILON)));
        let name = self.name_by_kernel(node, 1);
        let y = self.push_named(node, name, layer, &[x.node], weights)?;
        Ok(Batch { node: y, is_positive: false, ..x })
    }
}
