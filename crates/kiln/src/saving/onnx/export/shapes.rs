//! Layers that move values: flattened, permuted, padded, cropped and resized.

use super::super::proto::AttributeProto;
use super::graph::{Axes, Graph, Value};
use super::misfit::Misfit;
use crate::layers::{Cropping2D, GetItem, Interpolation, Permute, ZeroPadding2D};

pub(super) fn flatten(graph: &mut Graph, x: &Value) -> Value {
    let (channels, elements) = (x.channels(), x.sample.iter().product::<usize>());
    // With one channel or one pixel, both orders are the same.
    let x = if channels == 1 || channels == elements { x.clone() } else { graph.channels_last(x) };
    let name = match x.sample.len() {
        1 => x.name.clone(),
        _ => graph.node("Flatten", &[&x.name], [AttributeProto::int("axis", 1)]),
    };
    Value { name, sample: vec![elements], axes: Axes::ChannelsLast }
}

pub(super) fn reshape(graph: &mut Graph, x: &Value, output: &[usize]) -> Value {
    let x = graph.channels_last(x);
    Value { name: graph.reshape(&x.name, output), sample: output.to_vec(), axes: Axes::ChannelsLast }
}

pub(super) fn permute(graph: &mut Graph, layer: &Permute, x: &Value) -> Value {
    let x = graph.channels_last(x);
    let perm = [0].into_iter().chain(layer.dims.iter().copied());
    let name = graph.node("Transpose", &[&x.name], [AttributeProto::ints("perm", perm)]);
    Value { name, sample: layer.dims.iter().map(|&axis| x.sample[axis - 1]).collect(), axes: Axes::ChannelsLast }
}

pub(super) fn zero_padding2d(graph: &mut Graph, layer: &ZeroPadding2D, x: &Value) -> Value {
    let [[top, bottom], [left, right]] = layer.padding;
    let sides = [[top, left, 0], [bottom, right, 0]].map(|side| x.ordered(&side.map(|width| width as i64)));
    let pads: Vec<i64> = sides.into_iter().flat_map(|side| [0].into_iter().chain(side)).collect();
    let pads = graph.ints("pads", &pads);
    let y = graph.map("Pad", x, &[&pads], []);
    Value { sample: vec![x.sample[0] + top + bottom, x.sample[1] + left + right, x.sample[2]], ..y }
}

pub(super) fn cropping2d(graph: &mut Graph, layer: &Cropping2D, x: &Value) -> Value {
    let [[top, bottom], [left, right]] = layer.cropping;
    let first_axis = if x.axes == Axes::ChannelsFirst { 2 } else { 1 };
    let ends = [x.sample[0] - bottom, x.sample[1] - right];
    let starts = graph.ints("starts", &[top, left].map(|start| start as i64));
    let stops = graph.ints("ends", &ends.map(|end| end as i64));
    let axes = graph.ints("axes", &[first_axis, first_axis + 1]);
    let y = graph.map("Slice", x, &[&starts, &stops, &axes], []);
    Value { sample: vec![ends[0] - top, ends[1] - left, x.sample[2]], ..y }
}

/// A Slice of the positions, and for axes that have an index a Squeeze.
pub(super) fn get_item(graph: &mut Graph, layer: &GetItem, x: &Value) -> Result<Value, Misfit> {
    let wrong = || Misfit::argument("key", "positions along the axes of the input", format!("{:?}", layer.key));
    let positions = layer.positions(&x.sample).ok_or_else(wrong)?;
    let is_kept = |&(_, is_kept): &(_, bool)| is_kept;
    // Without one of its axes, a sample has no channels as its first axis.
    let x = if positions.iter().all(is_kept) { x.clone() } else { graph.channels_last(x) };
    // The axes of the value that each axis of a sample is.
    let rank = x.sample.len() as i64;
    let axes: Vec<i64> = match x.axes {
        Axes::ChannelsLast => (1..=rank).collect(),
        Axes::ChannelsFirst => (2..=rank).chain([1]).collect(),
    };
    let list = |of: &dyn Fn(usize) -> Option<i64>| (0..x.sample.len()).filter_map(of).collect::<Vec<i64>>();
    let cut = |place: usize| positions[place].0.len() < x.sample[place];
    let mut y = x.clone();
    if (0..x.sample.len()).any(cut) {
        let starts = list(&|place| cut(place).then_some(positions[place].0.start as i64));
        let ends = list(&|place| cut(place).then_some(positions[place].0.end as i64));
        let along = list(&|place| cut(place).then_some(axes[place]));
        let [starts, ends, along] =
            [("starts", starts), ("ends", ends), ("axes", along)].map(|(name, values)| graph.ints(name, &values));
        y = graph.map("Slice", &x, &[&starts, &ends, &along], []);
    }
    let removed = list(&|place| (!positions[place].1).then_some(axes[place]));
    if !removed.is_empty() {
        let removed = graph.ints("axes", &removed);
        y = graph.map("Squeeze", &y, &[&removed], []);
    }
    let sample = positions.iter().filter(|position| is_kept(position)).map(|(range, _)| range.len()).collect();
    Ok(Value { sample, ..y })
}

/// Images of another size; the centres of pixels are at half coordinates.
///
/// Sizes instead of scales would need the number of samples, or the attribute `axes`, which onnxruntime's optimizer takes for
/// those before a transposition.
pub(super) fn resize(
    graph: &mut Graph,
    interpolation: Interpolation,
    x: &Value,
    output: &[usize],
) -> Result<Value, Misfit> {
    let x = graph.channels_first(x);
    let is_nearest = interpolation == Interpolation::Nearest;
    let mut attributes = vec![AttributeProto::string("coordinate_transformation_mode", "half_pixel")];
    attributes.push(AttributeProto::string("mode", if is_nearest { "nearest" } else { "linear" }));
    if is_nearest {
        attributes.push(AttributeProto::string("nearest_mode", "round_prefer_ceil"));
    }
    let along = |axis: usize| {
        let expected = "a size whose ratio to the image's is exact enough as a 32-bit float";
        let found = || format!("{} of {} pixels", output[axis], x.sample[axis]);
        scale(x.sample[axis], output[axis], is_nearest).ok_or_else(|| Misfit::layer(expected, found()))
    };
    let scales = [1.0, 1.0, along(0)?, along(1)?];
    let scales = graph.constant("scales", &[4], &scales);
    let y = graph.map("Resize", &x, &["", &scales], attributes);
    Ok(Value { sample: output.to_vec(), ..y })
}

/// A factor of an image's extent that has the given result in 32-bit floats, as in runtimes, and if the nearest pixels are
/// copied, copies Kiln's. If possible it also has the result in 64-bit floats, as in ONNX' inference of shapes.
fn scale(extent: usize, output: usize, is_nearest: bool) -> Option<f32> {
    let middle = output as f32 / extent as f32;
    let is_exact = |scale: &f32| {
        let copies = |at: usize| {
            let place = ((at as f32 + 0.5) / scale - 0.5 + 0.5).floor();
            place.clamp(0.0, extent as f32 - 1.0) as usize == (2 * at + 1) * extent / (2 * output)
        };
        (extent as f32 * scale).floor() as usize == output && (!is_nearest || (0..output).all(copies))
    };
    let is_inferred = |scale: &f32| (extent as f64 * f64::from(*scale)).floor() as usize == output;
    let candidates = [middle, middle.next_up(), middle.next_down(), middle.next_up().next_up()];
    let mut exact: Vec<f32> = candidates.into_iter().filter(is_exact).collect();
    exact.sort_by_key(|scale| !is_inferred(scale));
    exact.first().copied()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn scales_of_images_have_the_size_in_both_precisions() {
        for (extent, output) in (1..64).flat_map(|extent| (1..64).map(move |output| (extent, output))) {
            let scale = scale(extent, output, false).unwrap();
            assert_eq!((extent as f32 * scale).floor() as usize, output, "{output} of {extent}");
            assert_eq!((extent as f64 * f64::from(scale)).floor() as usize, output, "{output} of {extent}");
        }
    }
}
