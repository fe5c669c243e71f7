//! `out[i] = sum over j of w[i, j] * in[j]` along x, then along y: resizing of byte images, as in PIL.
//!
//! The weights follow Pillow's documentation of its filters: a kernel around the output pixel's centre, widened by the
//! scale where the image shrinks, rounded to 22 bits; each of the two passes rounds to a byte. Pillow 13 and later
//! resize along y first if that is less work, which may round differently.

use serde::{Deserialize, Serialize};

use super::Image;

/// The interpolation of resized images, with the names of Keras and PIL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Nearest neighbour, `in[floor((i + 0.5) * n / m)]` except for rounding: the default of Keras' `load_img`.
    #[default]
    Nearest,
    /// A triangle filter.
    Bilinear,
    /// Keys' cubic with a = -0.5.
    Bicubic,
    /// Lanczos' windowed sinc with 3 lobes.
    Lanczos,
    /// The average of the covered pixels.
    Box,
    /// Hamming's windowed sinc.
    Hamming,
}

impl Interpolation {
    /// The radius of the kernel in pixels.
    fn support(self) -> f64 {
        match self {
            Interpolation::Nearest => 0.0,
            Interpolation::Box => 0.5,
            Interpolation::Bilinear | Interpolation::Hamming => 1.0,
            Interpolation::Bicubic => 2.0,
            Interpolation::Lanczos => 3.0,
        }
    }

    fn kernel(self, x: f64) -> f64 {
        let distance = x.abs();
        match self {
            Interpolation::Nearest => 0.0,
            Interpolation::Box => f64::from(x > -0.5 && x <= 0.5),
            Interpolation::Bilinear => (1.0 - distance).max(0.0),
            Interpolation::Hamming if distance >= 1.0 => 0.0,
            Interpolation::Hamming => sinc(x) * (0.54 + 0.46 * (std::f64::consts::PI * x).cos()),
            Interpolation::Bicubic => cubic(distance),
            Interpolation::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Interpolation::Lanczos => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    let x = x * std::f64::consts::PI;
    if x == 0.0 { 1.0 } else { x.sin() / x }
}

fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// Resizes an image to this height and width.
pub fn resize(image: Image, [height, width]: [usize; 2], interpolation: Interpolation) -> Image {
    let &[h, w, channels] = &image.shape[..] else { return image };
    if [h, w] == [height, width] || h * w == 0 {
        return image;
    }
    let (columns, rows) = (Axis { from: w, to: width }, Axis { from: h, to: height });
    let values = match interpolation {
        Interpolation::Nearest => {
            let columns = columns.nearest();
            let rows = rows.nearest().into_iter();
            let pixels = rows.flat_map(|row| columns.iter().map(move |column| (row * w + column) * channels));
            pixels.flat_map(|start| image.values[start..start + channels].iter().copied()).collect()
        }
        _ => {
            let across = filtered(image.values, &columns, [h, channels], interpolation);
            filtered(across, &rows, [1, width * channels], interpolation)
        }
    };
    Image { shape: [height, width, channels].into(), values }
}

/// An axis resized from `from` to `to` pixels.
#[derive(PartialEq)]
struct Axis {
    from: usize,
    to: usize,
}

/// The input pixels of an output pixel and their weights.
struct Support {
    first: usize,
    weights: Vec<i32>,
}

/// Weights are multiples of `2^-22`.
const WEIGHT_BITS: u32 = 22;

impl Axis {
    /// The input pixel of each output pixel. Accumulates the step from pixel to pixel as PIL, because rounded sums may
    /// differ from products.
    fn nearest(&self) -> Vec<usize> {
        let step = self.from as f64 / self.to as f64;
        let places = std::iter::successors(Some(step * 0.5), |place| Some(place + step));
        places.take(self.to).map(|place| (place as usize).min(self.from - 1)).collect()
    }

    fn windows(&self, interpolation: Interpolation) -> Vec<Support> {
        let scale = self.from as f64 / self.to as f64;
        let wide = scale.max(1.0);
        let support = interpolation.support() * wide;
        let window = |i| {
            let center = (i as f64 + 0.5) * scale;
            let first = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(self.from);
            let weight = |j| interpolation.kernel((j as f64 - center + 0.5) * (1.0 / wide));
            let weights: Vec<f64> = (first..end).map(weight).collect();
            let sum: f64 = weights.iter().sum();
            let fixed = |weight: &f64| (weight / sum * f64::from(1 << WEIGHT_BITS)).round() as i32;
            Support { first, weights: weights.iter().map(fixed).collect() }
        };
        (0..self.to).map(window).collect()
    }
}

/// Resizes the middle axis of `[outer, from, inner]`.
fn filtered(values: Vec<u8>, axis: &Axis, [outer, inner]: [usize; 2], interpolation: Interpolation) -> Vec<u8> {
    if axis.from == axis.to {
        return values;
    }
    let windows = axis.windows(interpolation);
    let mut out = Vec::with_capacity(outer * axis.to * inner);
    let mut sums = vec![0_i32; inner];
    for line in values.chunks_exact(axis.from * inner) {
        for window in &windows {
            sums.fill(1 << (WEIGHT_BITS - 1));
            for (pixel, &weight) in line[window.first * inner..].chunks_exact(inner).zip(&window.weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(value) * weight;
                }
            }
            out.extend(sums.iter().map(|sum| (sum >> WEIGHT_BITS).clamp(0, 255) as u8));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grayscale image of one row.
    fn row(values: &[u8]) -> Image {
        Image { shape: [1, values.len(), 1].into(), values: values.to_vec() }
    }

    fn resized(values: &[u8], width: usize, interpolation: Interpolation) -> Vec<u8> {
        resize(row(values), [1, width], interpolation).values
    }

    #[test]
    fn nearest_takes_the_pixel_below_the_centre() {
        assert_eq!(resized(&[0, 1, 2, 3, 4], 3, Interpolation::Nearest), [0, 2, 4]);
        assert_eq!(resized(&[7, 9], 5, Interpolation::Nearest), [7, 7, 9, 9, 9]);
    }

    #[test]
    fn box_averages_what_a_pixel_covers() {
        assert_eq!(resized(&[10, 20, 30, 50], 2, Interpolation::Box), [15, 40]);
    }

    #[test]
    fn one_colour_stays_that_colour() {
        for interpolation in [
            Interpolation::Nearest,
            Interpolation::Bilinear,
            Interpolation::Bicubic,
            Interpolation::Lanczos,
            Interpolation::Box,
            Interpolation::Hamming,
        ] {
            for size in [[1, 1], [3, 257], [257, 3]] {
                let image = Image { shape: [7, 5, 3].into(), values: [200, 3, 255].repeat(35) };
                let image = resize(image, size, interpolation);
                assert_eq!(image.shape, [size[0], size[1], 3].into());
                assert_eq!(image.values, [200, 3, 255].repeat(size[0] * size[1]), "{interpolation:?}, {size:?}");
            }
        }
    }
}
