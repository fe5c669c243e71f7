//! Batches of samples in the model under construction, and the order of their axes.

use crate::network::Node;

/// The output of a layer, which is a value of the graph with its axes in another order.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub node: Node,
    /// The axis of the graph's value that each axis of the layer's output is, the batch included: `[0, 2, 3, 1]` for images.
    pub axes: Vec<usize>,
    /// Whether all values are 0 or more, so that padding with zeros does not change their maximum.
    pub is_positive: bool,
    /// The images that a vector consists of, if it has the order of Kiln's values.
    pub flat: Option<Flat>,
}

/// A vector of the values of a sample in the order of its axes in Kiln, where the graph has them in its own.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Flat {
    /// The extents in Kiln's order.
    pub sample: Vec<usize>,
    /// The axes of the graph, without the batch, beginning with 0.
    pub axes: Vec<usize>,
}

/// The axes of images in the graph, in Kiln's order.
pub(super) const IMAGE: [usize; 4] = [0, 2, 3, 1];
/// The axes of sequences in the graph, in Kiln's order.
pub(super) const SEQUENCE: [usize; 3] = [0, 2, 1];

impl Flat {
    /// The place in the graph's vector of each element of Kiln's.
    pub fn places(&self) -> Vec<usize> {
        let mut extents = vec![1; self.sample.len()];
        for (&axis, &extent) in self.axes.iter().zip(&self.sample) {
            extents[axis] = extent;
        }
        let strides = super::constant::strides(&extents);
        let steps: Vec<usize> = self.axes.iter().map(|&axis| strides[axis]).collect();
        super::constant::places(&self.sample, &steps, 0).collect()
    }
}

/// The usual order of Kiln's axes for a value of this rank: the channels last.
pub(super) fn channels_last(rank: usize) -> Vec<usize> {
    match rank {
        0..=2 => (0..rank).collect(),
        _ => [0].into_iter().chain(2..rank).chain([1]).collect(),
    }
}

/// A change of shape without a change of order.
pub(super) enum Regrouped {
    /// The axes of the result, in Kiln's order.
    Axes(Vec<usize>),
    /// Kiln's values have another order than the result.
    Scrambled,
}

/// The axes of a reshaped value, where `input` and `output` are extents in the graph's order with the batch as axis 0. Extents
/// of 1 are of no account.
pub(super) fn regrouped(axes: &[usize], input: &[usize], output: &[usize]) -> Regrouped {
    let long = |extents: &[usize]| (1..extents.len()).filter(|&axis| extents[axis] > 1).collect::<Vec<usize>>();
    let (from, to) = (long(input), long(output));
    let order: Vec<usize> = axes.iter().copied().filter(|axis| from.contains(axis)).collect();
    // Groups of axes with equal products.
    let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < from.len() && j < to.len() {
        let (first, second) = (i, j);
        let (mut product, mut other) = (input[from[i]], output[to[j]]);
        (i, j) = (i + 1, j + 1);
        while product != other {
            if product < other && i < from.len() {
                (product, i) = (product * input[from[i]], i + 1);
            } else if product > other && j < to.len() {
                (other, j) = (other * output[to[j]], j + 1);
            } else {
                return Regrouped::Scrambled;
            }
        }
        let group = &from[first..i];
        let Some(place) = order.iter().position(|axis| *axis == group[0]) else { return Regrouped::Scrambled };
        if order.get(place..place + group.len()) != Some(group) {
            return Regrouped::Scrambled;
        }
        groups.push((place, to[second..j].to_vec()));
    }
    groups.sort_unstable();
    let new: Vec<usize> = groups.into_iter().flat_map(|(_, axes)| axes).collect();
    let rank = output.len();
    // The order of images, if it is one.
    let usual: [Vec<usize>; 2] = match rank {
        4 => [channels_last(rank), (0..rank).collect()],
        _ => [(0..rank).collect(), channels_last(rank)],
    };
    let same = |axes: &Vec<usize>| axes.iter().filter(|axis| new.contains(axis)).eq(&new);
    if let Some(axes) = usual.into_iter().find(same) {
        return Regrouped::Axes(axes);
    }
    let ones = (1..rank).filter(|axis| !new.contains(axis));
    Regrouped::Axes([0].into_iter().chain(ones).chain(new.iter().copied()).collect())
}
