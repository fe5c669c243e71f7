//! Parts of samples: Slice, Gather of indices along an axis, and Split.

use std::ops::Range;

use super::batch::Batch;
use super::node::Node;
use super::{Importer, Result, Value};
use crate::layers::{GetItem, Item};

/// The number of samples of a graph that leaves it open, so that a part of the batch differs from all of it.
const SAMPLES: usize = 1_000_003;

/// Adjacent places as a range; `None` if they are none or others.
fn range(places: &[usize]) -> Option<Range<usize>> {
    let (&first, &last) = (places.first()?, places.last()?);
    (first..last + 1).eq(places.iter().copied()).then_some(first..last + 1)
}

impl<'a> Importer<'a> {
    /// The part of a batch in these ranges of the graph's axes.
    fn part(&mut self, node: &Node<'a>, x: Batch, ranges: &[Range<usize>]) -> Result<Batch> {
        let sample = self.sample(&x);
        let ranges: Vec<Range<usize>> = x.axes[1..].iter().map(|&axis| ranges[axis].clone()).collect();
        let y = match (&ranges[..], &sample[..]) {
            _ if ranges.iter().zip(&sample).all(|(range, &extent)| *range == (0..extent)) => x.node,
            ([rows, columns, channels], &[height, width, depth]) if *channels == (0..depth) => {
                let sides = [[rows.start, height - rows.end], [columns.start, width - columns.end]];
                self.cropped(node, x.node, sides)?
            }
            _ => {
                let item = |(range, &extent): (&Range<usize>, &usize)| match *range == (0..extent) {
                    true => Item::from(..),
                    false => Item::from(range.start as i64..range.end as i64),
                };
                let mut key: Vec<Item> = ranges.iter().zip(&sample).map(item).collect();
                while key.last() == Some(&Item::from(..)) {
                    key.pop();
                }
                self.push(node, GetItem::new(key), &[x.node], vec![])?
            }
        };
        Ok(Batch { node: y, ..x })
    }

    /// The extents of the graph's axes, with a number of samples.
    fn extents(&self, node: &Node<'a>, x: &Batch) -> Vec<usize> {
        let samples = node.batch.and_then(|samples| usize::try_from(samples).ok()).unwrap_or(SAMPLES);
        self.dims(x).iter().map(|&extent| usize::try_from(extent).unwrap_or(samples)).collect()
    }

    pub(super) fn slice(&mut self, node: &Node<'a>) -> Result<Batch> {
        let x = self.batch(node, 0)?;
        let dims = self.extents(node, &x);
        let mut inputs = Vec::new();
        for index in 1..node.inputs().len() {
            inputs.push(self.optional(node, index)?);
        }
        let inputs: Vec<_> = inputs.iter().map(Option::as_ref).collect();
        let kept = node.slices(&dims, &inputs)?;
        if kept[x.axes[0]].len() != dims[x.axes[0]] {
            return Err(node.wrong("axes", "axes of a sample", "a part of the batch").into());
        }
        let ranges: Option<Vec<Range<usize>>> = kept.iter().map(|kept| range(kept)).collect();
        let ranges = ranges.ok_or_else(|| node.wrong("steps", "adjacent places, at least one", "others"))?;
        self.part(node, x, &ranges)
    }

    /// The index along an axis, or adjacent ones.
    pub(super) fn gather(&mut self, node: &Node<'a>) -> Result<Batch> {
        let x = self.batch(node, 0)?;
        let indices = self.constant(node, 1)?;
        let rank = x.axes.len();
        let axis = node.axes(&[node.int("axis").unwrap_or(0)], rank)?[0];
        let dims = self.extents(node, &x);
        let wrong = || node.wrong("indices", "adjacent places along an axis of a sample", "others");
        let place = |&index: &i64| {
            let index = if index < 0 { index.checked_add(dims[axis] as i64)? } else { index };
            usize::try_from(index).ok().filter(|&index| index < dims[axis])
        };
        let places: Option<Vec<usize>> = indices.ints().and_then(|indices| indices.iter().map(place).collect());
        let along = places.as_deref().and_then(range).filter(|_| axis != x.axes[0] && indices.dims.len() < 2);
        let along = along.ok_or_else(wrong)?;
        let is_index = indices.dims.is_empty();
        if !is_index {
            let mut ranges: Vec<Range<usize>> = dims.iter().map(|&extent| 0..extent).collect();
            ranges[axis] = along;
            return self.part(node, x, &ranges);
        }
        let before = x.axes[1..].iter().take_while(|found| **found != axis).count();
        let key = [vec![Item::from(..); before], vec![Item::from(along.start as i64)]].concat();
        let y = self.push(node, GetItem::new(key), &[x.node], vec![])?;
        let others = x.axes.iter().filter(|found| **found != axis);
        let axes = others.map(|&found| if found > axis { found - 1 } else { found }).collect();
        Ok(Batch { node: y, axes, ..x })
    }

    /// Inserts the outputs that are used: parts along an axis.
    pub(super) fn split(&mut self, node: &Node<'a>) -> Result<()> {
        let x = self.batch(node, 0)?;
        let axis = node.axes(&[node.int("axis").unwrap_or(0)], x.axes.len())?[0];
        if axis == x.axes[0] {
            return Err(node.wrong("axis", "an axis of a sample", "the batch").into());
        }
        let dims = self.extents(node, &x);
        let (extent, parts) = (dims[axis], node.outputs().len());
        let given = self.optional(node, 1)?;
        let given = match (node.ints("split"), given) {
            (Some(lengths), _) => Some(lengths),
            (None, Some(lengths)) => {
                Some(lengths.ints().ok_or_else(|| node.wrong("split", "whole numbers", "floats"))?.to_vec())
            }
            (None, None) => None,
        };
        let count = node.int("num_outputs");
        let lengths: Option<Vec<usize>> = match given {
            Some(lengths) => lengths.iter().map(|&length| usize::try_from(length).ok()).collect(),
            // From version 18 on, the last part may be smaller.
            None if count.is_some() || extent.is_multiple_of(parts) => {
                let length = extent.div_ceil(parts);
                (0..parts).map(|part| extent.checked_sub(part * length).map(|rest| rest.min(length))).collect()
            }
            None => None,
        };
        let is_whole = |lengths: &Vec<usize>| {
            let sum = lengths.iter().try_fold(0usize, |sum, &length| sum.checked_add(length));
            sum == Some(extent) && lengths.len() == parts && lengths.iter().all(|&length| length > 0)
        };
        let counts_outputs = count.is_none_or(|count| usize::try_from(count) == Ok(parts));
        let lengths = lengths.filter(|lengths| is_whole(lengths) && counts_outputs);
        let wrong = || node.wrong("split", format!("{parts} parts of {extent}, each of 1 or more"), "others");
        let mut first = 0;
        for (name, length) in node.outputs().iter().zip(lengths.ok_or_else(wrong)?) {
            if self.users.contains_key(name.as_str()) {
                let mut ranges: Vec<Range<usize>> = dims.iter().map(|&extent| 0..extent).collect();
                ranges[axis] = first..first + length;
                let part = self.part(node, x.clone(), &ranges)?;
                self.values.insert(name, Value::Batch(part));
            }
            first += length;
        }
        Ok(())
    }
}
