//! Tensors larger than the device's largest binding (`max_storage_buffer_binding_size`, 128 MiB by default in WebGPU):
//! the computation is split into windows, one call per window.
//!
//! A window is a range of *units* that can be computed independently: elements, samples, the blocks of rows of a
//! reduction, or rows of a matrix. A unit has a fixed number of contiguous elements of each split tensor, so a window
//! binds one range of it, a [`Lowering::part`]. Windows are as large as the limit allows, start at an aligned offset
//! ([`Limits::binding_align`]) and leave room for [`READ_PAST`](crate::READ_PAST). If everything fits, there is one
//! window whose parts are the whole tensors, and the plan is unaffected.
//!
//! There are two ways to split an op:
//!
//! 1. An op whose outputs depend on the same positions of its inputs declares it ([`Op::pieces`](crate::Op::pieces)),
//!    and [`Plan::new`](crate::Plan::new) lowers it once per window. The op's lowering has parts in place of tensors
//!    and reads all sizes from their shapes; [`Lowering::first`] is the position of the window.
//! 2. A reduction (products, sums, moments) splits each of its calls by [`Lowering::windows`]. It must keep the order
//!    of additions, so that results are bit-identical to those without windows.
//!
//! If units exceed the limit, nothing is split, and placing the call is an [`Error::TooLarge`].
//!
//! [`Error::TooLarge`]: crate::Error::TooLarge

use std::ops::Range;

use crate::lowering::Local;
use crate::{Choices, Graph, Limits, Lowering, Node, Shape, Tensor, TensorType};

/// The unit of an elementwise op's windows, in elements: the maximum of a workgroup.
const BLOCK: usize = 256;

/// How an op can be computed in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pieces {
    /// Not at all, or the op splits its calls itself.
    Whole,
    /// By elements: all inputs and outputs have the same number of elements, and each output element depends on the
    /// input elements at the same position. A piece is flat, `[elements]`, and starts at a multiple of 256.
    Elements,
    /// By samples: the first axis of all inputs and outputs is the batch axis, and each output sample depends on the
    /// same sample of the inputs.
    Samples,
    /// As [`Pieces::Samples`] for the inputs with these indices; every sample depends on the whole of the other inputs.
    SamplesOf(Vec<usize>),
}

/// A range of units, with the parts of the split tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window<const N: usize> {
    /// The units.
    pub units: Range<usize>,
    /// The part of each tensor.
    pub parts: [Tensor; N],
}

/// Splits `units` units into windows in which each of these tensors, with its elements per unit, can be bound: one
/// window if all can be bound whole or units are too large.
fn split(units: usize, cut: &[(&TensorType, usize)], limits: &Limits) -> Vec<Range<usize>> {
    let room = limits.window_bytes();
    let unit_bytes = || cut.iter().map(|(ty, per_unit)| (*per_unit as u64 * ty.dtype.bytes()).max(1));
    let most = unit_bytes().map(|bytes| room / bytes).min().unwrap_or(0);
    let step = unit_bytes().map(|bytes| limits.binding_align / common_divisor(limits.binding_align, bytes));
    let step = step.fold(1, |all, step| all / common_divisor(all, step) * step);
    let size = (most / step * step) as usize;
    if size == 0 || cut.iter().all(|(ty, _)| ty.bytes() <= room) {
        return std::iter::once(0..units).collect();
    }
    (0..units).step_by(size).map(|start| start..units.min(start + size)).collect()
}

fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// The lowerings of a node: one, or one per window if it must and can be split.
pub(crate) fn lowerings<'a>(
    graph: &'a Graph,
    node: &'a Node,
    limits: &'a Limits,
    choices: &'a Choices,
) -> Vec<Lowering<'a>> {
    let pieces = node.op.pieces();
    let windows = windows_of(graph, node, &pieces, limits);
    if windows.len() == 1 {
        return vec![Lowering::new(graph, node, limits, choices)];
    }
    let lowering = |window: Range<usize>| {
        let mut lowering = Lowering::new(graph, node, limits, choices);
        let mut part = |&tensor: &Tensor| {
            let (shape, per_unit) = (graph.shape(tensor), pieces.per_unit(graph.ty(tensor)));
            let (start, end) = (window.start * per_unit, shape.elements().min(window.end * per_unit));
            let shape = match pieces {
                Pieces::Elements => [end - start].into(),
                _ => shape.sample().batched(window.len()),
            };
            lowering.part(tensor, start, shape)
        };
        let inputs = node.inputs.iter().enumerate().map(|(i, input)| if pieces.cut(i) { part(input) } else { *input });
        let (inputs, outputs) = (inputs.collect(), node.outputs.iter().map(&mut part).collect());
        lowering.first = match pieces {
            Pieces::Elements => window.start * BLOCK,
            _ => window.start,
        };
        (lowering.inputs, lowering.outputs) = (inputs, outputs);
        lowering
    };
    windows.into_iter().map(lowering).collect()
}

/// The windows of a node split into these pieces, in units.
fn windows_of(graph: &Graph, node: &Node, pieces: &Pieces, limits: &Limits) -> Vec<Range<usize>> {
    let inputs = node.inputs.iter().enumerate().filter(|(input, _)| pieces.cut(*input)).map(|(_, tensor)| tensor);
    let types: Vec<&TensorType> = node.outputs.iter().chain(inputs).map(|&tensor| graph.ty(tensor)).collect();
    let shape = types.first().map(|ty| &ty.shape);
    let units = match pieces {
        Pieces::Elements => shape.map(|shape| shape.elements().div_ceil(BLOCK)),
        // The only axis may be the op's sample axis.
        Pieces::Samples | Pieces::SamplesOf(_) if types.iter().any(|ty| ty.shape.len() > 1) => {
            let samples = shape.and_then(|shape| shape.first());
            samples.copied().filter(|_| types.iter().all(|ty| ty.shape.first() == samples))
        }
        _ => None,
    };
    let cut: Vec<_> = types.iter().map(|&ty| (ty, pieces.per_unit(ty))).collect();
    units.map_or_else(|| std::iter::once(0..1).collect(), |units| split(units, &cut, limits))
}

impl Pieces {
    /// The elements of such a tensor per unit.
    fn per_unit(&self, ty: &TensorType) -> usize {
        match self {
            Pieces::Elements => BLOCK,
            _ => ty.shape.sample().elements(),
        }
    }

    /// Whether this input is split.
    fn cut(&self, input: usize) -> bool {
        match self {
            Pieces::Whole => false,
            Pieces::Elements | Pieces::Samples => true,
            Pieces::SamplesOf(inputs) => inputs.contains(&input),
        }
    }
}

impl Lowering<'_> {
    /// Splits `units` units of a call into windows of these tensors, each with its elements per unit. The last unit may
    /// have fewer elements.
    pub fn windows<const N: usize>(&mut self, units: usize, cut: [(Tensor, usize); N]) -> Vec<Window<N>> {
        let windows = split(units, &cut.map(|(tensor, per_unit)| (self.ty(tensor), per_unit)), self.limits);
        let window = |units: Range<usize>| {
            let parts = cut.map(|(tensor, per_unit)| {
                let (start, end) = (units.start * per_unit, self.shape(tensor).elements().min(units.end * per_unit));
                self.part(tensor, start, [end - start])
            });
            Window { units, parts }
        };
        windows.into_iter().map(window).collect()
    }

    /// The part of a tensor from element `first` on, with this shape: the tensor itself if that is all of it. Calls
    /// require an aligned start.
    pub fn part(&mut self, tensor: Tensor, first: usize, shape: impl Into<Shape>) -> Tensor {
        let ty = TensorType::new(shape, self.ty(tensor).dtype);
        if ty.shape.elements() == self.shape(tensor).elements() {
            return tensor;
        }
        let first_byte = first as u64 * ty.dtype.bytes();
        self.local(Local::Part { of: tensor, first_byte, ty })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::READ_PAST;

    fn windows(elements: usize, units: usize, per_unit: usize, limit: u64) -> Vec<Range<usize>> {
        let limits = Limits { max_binding_bytes: limit, ..Limits::WEBGPU };
        split(units, &[(&TensorType::f32([elements]), per_unit)], &limits)
    }

    fn one(window: Range<usize>) -> Vec<Range<usize>> {
        std::iter::once(window).collect()
    }

    #[test]
    fn what_fits_with_room_to_read_past_it_is_one_window() {
        assert_eq!(windows(1000, 1000, 1, 4000 + READ_PAST), one(0..1000));
        assert_eq!(windows(1000, 1000, 1, 3999 + READ_PAST), [0..960, 960..1000]);
    }

    #[test]
    fn windows_start_where_the_device_can_bind_and_fit_the_limit() {
        for (elements, per_unit) in [(100_000, 1), (100_000, 3), (99_999, 64), (100_000, 100), (70_000, 257)] {
            let units = usize::div_ceil(elements, per_unit);
            let found = windows(elements, units, per_unit, 96 << 10);
            assert!(found.len() > 1, "{per_unit} per unit: {found:?}");
            assert_eq!((found[0].start, found[found.len() - 1].end), (0, units));
            for (window, next) in found.iter().zip(&found[1..]) {
                assert_eq!(window.end, next.start);
            }
            for window in found {
                let bytes = |units: usize| (units * per_unit * 4) as u64;
                assert!(bytes(window.start).is_multiple_of(256) && bytes(window.len()) + READ_PAST <= 96 << 10);
            }
        }
    }

    #[test]
    fn units_that_are_too_large_or_start_where_the_device_cannot_bind_are_not_cut() {
        assert_eq!(windows(4000, 4, 1000, 2048), one(0..4));
        assert_eq!(windows(4001, 4001, 1, 255), one(0..4001));
        assert_eq!(windows(257 * 10, 10, 257, 4096), one(0..10));
    }
}
