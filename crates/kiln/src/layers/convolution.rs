//! What convolutional layers share: their defaults, the grid of their windows, and depthwise convolutions.

use std::any::Any;

use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::{DepthwiseConv2d, ImagePadding, Padding, RepeatChannels, ZeroPad2d};
use serde_json::{Map, Value};

use super::{BuildError, Call, window_grid};

pub(super) fn ones() -> [usize; 2] {
    [1, 1]
}

pub(super) fn one() -> usize {
    1
}

pub(super) fn valid() -> Padding {
    Padding::Valid
}

/// The largest window with dilation, in pixels along an axis.
const LARGEST: usize = (1 << 30) - 1;

/// The height and width of a window whose taps are `dilation` pixels apart.
pub(super) fn extent(size: [usize; 2], dilation: [usize; 2]) -> std::result::Result<[usize; 2], BuildError> {
    let [rows, columns] = dilation;
    if rows == 0 || columns == 0 {
        return Err(BuildError::argument("dilation_rate", "at least 1 x 1", format!("{rows} x {columns}")));
    }
    let along = |axis: usize| match size[axis] {
        0 => Some(0),
        taps => (taps - 1).checked_mul(dilation[axis])?.checked_add(1).filter(|&extent| extent <= LARGEST),
    };
    let too_large = || {
        let found = format!("{rows} x {columns}");
        BuildError::argument("dilation_rate", format!("a window of at most {LARGEST} pixels"), found)
    };
    Ok([along(0).ok_or_else(too_large)?, along(1).ok_or_else(too_large)?])
}

/// The rows and columns of a convolution's result, and the channels of its image.
pub(super) fn grid(
    image: &Shape,
    size: [usize; 2],
    strides: [usize; 2],
    padding: Padding,
    dilation: [usize; 2],
) -> std::result::Result<[usize; 3], BuildError> {
    let grid = window_grid(image, ("kernel_size", extent(size, dilation)?), strides, padding)?;
    if grid[2] == 0 { Err(BuildError::input("at least 1 channel")) } else { Ok(grid) }
}

/// Refuses strides together with dilation, as Keras does.
pub(super) fn strides_or_dilation(strides: [usize; 2], dilation: [usize; 2]) -> std::result::Result<(), BuildError> {
    if strides.iter().any(|&stride| stride > 1) && dilation.iter().any(|&rate| rate > 1) {
        let found = format!("{} x {}", dilation[0], dilation[1]);
        return Err(BuildError::argument("dilation_rate", "1 x 1 with strides above 1", found));
    }
    Ok(())
}

/// Refuses zero.
pub(super) fn at_least_1(argument: &'static str, found: usize) -> std::result::Result<(), BuildError> {
    if found == 0 { Err(BuildError::argument(argument, "at least 1", 0)) } else { Ok(()) }
}

/// The dilation that has an effect: along an axis with a single tap, none has.
pub(super) fn effective(size: [usize; 2], dilation: [usize; 2]) -> [usize; 2] {
    [0, 1].map(|axis| if size[axis] == 1 { 1 } else { dilation[axis] })
}

/// The image and the padding of a convolution of `x` with a window of this extent. If `x` was padded by a layer of its own, the
/// convolution pads the image itself, so that no padded copy of it is needed.
pub(super) fn image_and_padding(
    call: &Call<'_>,
    x: Tensor,
    extent: [usize; 2],
    padding: Padding,
) -> (Tensor, ImagePadding) {
    let padded = || {
        let node = call.graph.nodes().iter().rev().find(|node| node.outputs == [x])?;
        let pad: &ZeroPad2d = (&*node.op as &dyn Any).downcast_ref()?;
        let fits = [0, 1].iter().all(|&axis| pad.padding[axis].iter().all(|&pixels| pixels < extent[axis]));
        fits.then_some((node.inputs[0], ImagePadding::Pixels(pad.padding)))
    };
    let padded = if padding == Padding::Valid { padded() } else { None };
    padded.unwrap_or((x, padding.into()))
}

/// The geometry of a depthwise convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depthwise {
    pub(super) strides: [usize; 2],
    pub(super) padding: Padding,
    pub(super) dilation: [usize; 2],
}

impl Depthwise {
    /// Appends the ops for `x [N, H, W, C]`, a kernel with the elements of `[R, S, C, multiplier]` for windows of `size`,
    /// and a bias `[C multiplier]`, if any.
    ///
    /// # Errors
    /// If the tensors do not match.
    pub(super) fn apply(
        self,
        call: &mut Call<'_>,
        size: [usize; 2],
        x: Tensor,
        kernel: Tensor,
        bias: Option<Tensor>,
    ) -> Result<Tensor> {
        let Depthwise { strides, padding, dilation } = self;
        let channels = call.shape(x).last().copied().unwrap_or(1).max(1);
        let filters = call.shape(kernel).elements() / (size[0] * size[1]).max(1);
        let kernel = call.reshape(kernel, [size[0], size[1], filters, 1])?;
        let times = filters / channels;
        let extent = [0, 1].map(|axis| size[axis].saturating_sub(1) * dilation[axis] + 1);
        let (x, padding) = image_and_padding(call, x, extent, padding);
        let x = if times > 1 { call.add(RepeatChannels { times }, &[x])? } else { x };
        let op = DepthwiseConv2d { strides, padding, dilation, bias: bias.is_some() };
        let inputs: Vec<Tensor> = [x, kernel].into_iter().chain(bias).collect();
        call.add(op, &inputs)
    }
}

/// Removes members that Keras 2 writes for every convolution, and that have a single value in this layer.
pub(super) fn remove_inherited(config: &mut Map<String, Value>) {
    if config.get("groups").is_some_and(|groups| *groups == 1) {
        config.remove("groups");
    }
}
