//! Resize and Upsample.

use super::batch::Batch;
use super::node::Node;
use super::space::Space;
use super::{Importer, Result};
use crate::layers::{Interpolation, Resizing, UpSampling2D};

impl<'a> Importer<'a> {
    pub(super) fn resize(&mut self, node: &Node<'a>) -> Result<Batch> {
        let x = self.spatial(node, 0)?;
        let Space { extents: [height, width], axes, .. } = self.space(&x);
        if axes != 2 {
            return Err(node.problem("an input of 4 axes (images)", "one of 3 axes").into());
        }
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
        "half_pixel_symmetric" => {
            let cut_off = 1.0 - size as f64 / (extent as f64 * scale);
            Some((at as f64 + 0.5) / scale - 0.5 + extent as f64 / 2.0 * cut_off)
        }
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
