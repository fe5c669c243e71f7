//! The axes of strided calls: which elements of several tensors belong together.

use kiln_graph::Shape;

/// The outer axes of a call, those before the last.
pub(crate) const OUTER: usize = 4;
/// The number of columns from which a last axis is processed in blocks.
const MANY_COLUMNS: usize = 1024;
/// The columns of a block.
const BLOCK: usize = 64;

/// An axis, with the stride of each of `N` tensors along it, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis<const N: usize> {
    pub(crate) extent: usize,
    pub(crate) strides: [usize; N],
}

/// The strides of a row-major tensor along the axes of `out`, 0 where the tensor has extent 1.
pub(crate) fn strides(shape: &[usize], out: &[usize]) -> Vec<usize> {
    let mut step = 1;
    let mut strides: Vec<usize> = Vec::new();
    for (&extent, &whole) in shape.iter().zip(out).rev() {
        strides.push(if extent == 1 && whole != 1 { 0 } else { step });
        step *= extent;
    }
    strides.reverse();
    strides
}

/// The axes of `out` with the strides of tensors along them.
pub(crate) fn axes<const N: usize>(out: &[usize], tensors: [&[usize]; N]) -> Vec<Axis<N>> {
    let strides = tensors.map(|shape| strides(shape, out));
    let axis = |(i, &extent): (usize, &usize)| Axis { extent, strides: std::array::from_fn(|n| strides[n][i]) };
    out.iter().enumerate().map(axis).collect()
}

/// Merges adjacent axes that are one for all tensors, and removes those of extent 1.
pub(crate) fn merged<const N: usize>(axes: impl IntoIterator<Item = Axis<N>>) -> Vec<Axis<N>> {
    let mut merged: Vec<Axis<N>> = Vec::new();
    for axis in axes.into_iter().filter(|axis| axis.extent != 1) {
        match merged.last_mut() {
            Some(outer) if (0..N).all(|n| outer.strides[n] == axis.strides[n] * axis.extent) => {
                *outer = Axis { extent: outer.extent * axis.extent, strides: axis.strides };
            }
            _ => merged.push(axis),
        }
    }
    merged
}

/// The axes of a call: the last as columns, perhaps in blocks, and the others as rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid<const N: usize> {
    /// The extents of the outer axes.
    pub(crate) extents: [usize; OUTER],
    /// The strides along the outer axes, of each tensor.
    pub(crate) strides: [[usize; OUTER]; N],
    /// The extent of the last axis.
    pub(crate) last: usize,
    /// The strides along the last axis.
    pub(crate) steps: [usize; N],
    /// The columns of a block.
    pub(crate) width: usize,
}

impl<const N: usize> Grid<N> {
    /// The grid of these axes, merged; `None` if there are too many.
    pub(crate) fn of(axes: impl IntoIterator<Item = Axis<N>>) -> Option<Grid<N>> {
        let axes = merged(axes);
        let one = Axis { extent: 1, strides: [1; N] };
        let (&last, outer) = axes.split_last().unwrap_or((&one, &[]));
        let first = OUTER.checked_sub(outer.len())?;
        let (mut extents, mut strides) = ([1; OUTER], [[0; OUTER]; N]);
        for (i, axis) in outer.iter().enumerate() {
            extents[first + i] = axis.extent;
            (0..N).for_each(|n| strides[n][first + i] = axis.strides[n]);
        }
        let width = if outer.is_empty() || last.extent > MANY_COLUMNS { last.extent.min(BLOCK) } else { last.extent };
        Some(Grid { extents, strides, last: last.extent, steps: last.strides, width })
    }

    /// The blocks that cover the last axis.
    pub(crate) fn blocks(&self) -> usize {
        self.last.div_ceil(self.width.max(1)).max(1)
    }

    /// The rows of the call: blocks of all places along the outer axes.
    pub(crate) fn rows(&self) -> usize {
        self.extents.iter().product::<usize>() * self.blocks()
    }
}

/// The shape of two tensors of the same rank combined, axes of extent 1 repeated.
pub(crate) fn broadcast(x: &Shape, y: &Shape) -> Option<Shape> {
    let extent = |(&a, &b): (&usize, &usize)| match (a, b) {
        (a, b) if a == b => Some(a),
        (1, b) => Some(b),
        (a, 1) => Some(a),
        _ => None,
    };
    let extents: Option<Vec<usize>> = x.iter().zip(y.iter()).map(extent).collect();
    extents.filter(|_| x.len() == y.len()).map(Shape::from)
}

/// Calls `visit` with the place in each tensor, for every element in row-major order.
pub(crate) fn each<const N: usize>(axes: &[Axis<N>], mut visit: impl FnMut([usize; N])) {
    for number in 0..axes.iter().map(|axis| axis.extent).product() {
        let (mut rest, mut at) = (number, [0; N]);
        for axis in axes.iter().rev() {
            (0..N).for_each(|n| at[n] += rest % axis.extent * axis.strides[n]);
            rest /= axis.extent;
        }
        visit(at);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn axes_that_are_one_for_all_tensors_are_merged() {
        let squeeze = axes(&[2, 5, 7, 3], [&[2, 5, 7, 3], &[2, 1, 1, 3]]);
        let grid = Grid::of(squeeze).unwrap();
        assert_eq!((grid.extents, grid.last, grid.steps), ([1, 1, 2, 35], 3, [1, 1]));
        assert_eq!(grid.strides, [[0, 0, 105, 3], [0, 0, 3, 0]]);
        let grid = Grid::of(axes(&[2, 5, 7, 3], [&[2, 5, 7, 3]; 2])).unwrap();
        assert_eq!((grid.extents, grid.last, grid.width, grid.blocks()), ([1; 4], 210, 64, 4));
        let grid = Grid::of(axes(&[1, 1], [&[1, 1]; 2])).unwrap();
        assert_eq!((grid.rows(), grid.last), (1, 1));
    }

    #[test]
    fn shapes_are_combined_axis_by_axis() {
        let combined = |x: &[usize], y: &[usize]| broadcast(&x.into(), &y.into());
        assert_eq!(combined(&[2, 1, 1, 3], &[2, 5, 7, 3]), Some([2, 5, 7, 3].into()));
        assert_eq!(combined(&[2, 5, 1], &[1, 5, 3]), Some([2, 5, 3].into()));
        assert_eq!(combined(&[2, 5], &[2, 4]), None);
        assert_eq!(combined(&[2, 5], &[5]), None);
    }
}
