use std::ops::{Range, RangeFrom, RangeFull, RangeTo};

use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::{ZeroPad2d, ZeroPad2dGradient};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::saved::Saved;
use super::{BuildError, Call, Layer};

/// The values of a sample at an index or in a range of its axes, Keras 3's `x[:, 0]` or `x[:, 1:3]`. Negative numbers count
/// from the end of an axis, as in Python.
///
/// # Shapes
/// In: as many axes as there are items, or more, which stay whole. Out: without the axes that have an index.
///
/// # Example
/// Keras' `x[:, -1, :2]`: the first two features of the last time step.
/// ```
/// use kiln::Model;
/// use kiln::layers::GetItem;
///
/// let mut model = Model::new([5, 4]);
/// model.apply(GetItem::new([(-1).into(), (..2).into()]), model.input());
/// assert_eq!(model.output_shape()?, &[2].into());
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GetItem {
    /// For each axis of a sample from the first on, without the batch.
    pub key: Vec<Item>,
}

/// A selection along an axis in [`GetItem`]: an index (`0.into()`), or a range (`(1..3).into()`, `(..).into()`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Item {
    /// One position; the axis is removed.
    Index(i64),
    /// The positions from `start` to before `stop`; `None` for the first and the end.
    Range {
        /// The first position.
        start: Option<i64>,
        /// The end, which is excluded.
        stop: Option<i64>,
    },
}

impl From<i64> for Item {
    fn from(index: i64) -> Item {
        Item::Index(index)
    }
}

impl From<Range<i64>> for Item {
    fn from(range: Range<i64>) -> Item {
        Item::Range { start: Some(range.start), stop: Some(range.end) }
    }
}

impl From<RangeFrom<i64>> for Item {
    fn from(range: RangeFrom<i64>) -> Item {
        Item::Range { start: Some(range.start), stop: None }
    }
}

impl From<RangeTo<i64>> for Item {
    fn from(range: RangeTo<i64>) -> Item {
        Item::Range { start: None, stop: Some(range.end) }
    }
}

impl From<RangeFull> for Item {
    fn from(_: RangeFull) -> Item {
        Item::Range { start: None, stop: None }
    }
}

impl Item {
    /// The positions along an axis of this extent; none if there are none.
    fn positions(self, extent: usize) -> Option<Range<usize>> {
        let extent = extent as i64;
        let from_start = |at: i64| if at < 0 { at + extent } else { at };
        let range = match self {
            Item::Index(index) => from_start(index)..from_start(index).saturating_add(1),
            Item::Range { start, stop } => {
                let clamped = |at: i64| from_start(at).clamp(0, extent);
                start.map_or(0, clamped)..stop.map_or(extent, clamped)
            }
        };
        let valid = 0 <= range.start && range.start < range.end && range.end <= extent;
        valid.then_some(range.start as usize..range.end as usize)
    }
}

impl GetItem {
    /// A selection along the first axes of a sample.
    pub fn new(key: impl Into<Vec<Item>>) -> GetItem {
        GetItem { key: key.into() }
    }

    /// The positions along each axis, and whether it remains.
    pub(crate) fn positions(&self, input: &[usize]) -> Option<Vec<(Range<usize>, bool)>> {
        let items = self.key.iter().copied().chain(std::iter::repeat(Item::from(..)));
        let along =
            |(&extent, item): (&usize, Item)| Some((item.positions(extent)?, matches!(item, Item::Range { .. })));
        input.iter().zip(items).map(along).collect::<Option<Vec<_>>>().filter(|_| self.key.len() <= input.len())
    }
}

impl Layer for GetItem {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        let positions = self.positions(input).ok_or_else(|| {
            let expected = format!("positions along the axes of an input {input}");
            BuildError::argument("key", expected, format!("{:?}", self.key))
        })?;
        let kept = positions.into_iter().filter(|(_, is_kept)| *is_kept);
        Ok(kept.map(|(range, _)| range.len()).collect::<Vec<usize>>().into())
    }

    /// Crops one axis after the other, as the rows of images `[samples and axes before, extent, 1, axes after]`.
    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let mut x = call.input();
        let mut shape = call.shape(x).to_vec();
        let positions = self.positions(&shape[1..]).unwrap_or_default();
        for (axis, (range, _)) in positions.iter().enumerate().map(|(axis, positions)| (axis + 1, positions)) {
            let extent = shape[axis];
            if range.len() == extent {
                continue;
            }
            let [before, after] = [&shape[..axis], &shape[axis + 1..]].map(|axes| axes.iter().product::<usize>());
            let image = call.reshape(x, [before, extent, 1, after])?;
            let padding = [[range.start, extent - range.end], [0, 0]];
            let cropped = call.add(ZeroPad2dGradient { pad: ZeroPad2d { padding } }, &[image])?;
            shape[axis] = range.len();
            x = call.reshape(cropped, shape.clone())?;
        }
        let kept = positions.iter().filter(|(_, is_kept)| *is_kept).map(|(range, _)| range.len());
        call.reshape(x, std::iter::once(shape[0]).chain(kept).collect::<Vec<usize>>())
    }
}

impl Saved for GetItem {
    const HAS_BUILD_CONFIG: bool = false;
    const MODULE: &'static str = "keras.src.ops.numpy";

    fn fixed() -> Value {
        json!({})
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn numbers_count_as_in_python() {
        let shape = |key: &[Item]| GetItem::new(key).output_shape(&[4, 3, 2].into()).map(|shape| shape.to_vec()).ok();
        assert_eq!(shape(&[0.into()]), Some(vec![3, 2]));
        assert_eq!(shape(&[(-1).into(), (..).into(), 1.into()]), Some(vec![3]));
        assert_eq!(shape(&[(1..9).into(), (-2..).into()]), Some(vec![3, 2, 2]));
        assert_eq!(shape(&[(..-1).into()]), Some(vec![3, 3, 2]));
        for wrong in [&[Item::from(4)][..], &[(-5).into()], &[(2..2).into()], &[(..).into(); 4]] {
            assert_eq!(shape(wrong), None, "{wrong:?}");
        }
        let error = GetItem::new([3.into()]).output_shape(&[2].into()).unwrap_err().to_string();
        assert_eq!(error, "key: expected positions along the axes of an input [2], found [Index(3)]");
    }
}
