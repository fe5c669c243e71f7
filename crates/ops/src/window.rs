//! The geometry of the sliding window of a convolution or pooling.

use std::fmt::{self, Display, Formatter};

use kiln_graph::{DType, Error, Result, TensorType};

use crate::kernels::lib::window::Overrides;

/// Keras' two kinds of padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// No padding: `out = floor((n - k) / s) + 1`.
    #[default]
    Valid,
    /// Padding for `out = ceil(n / s)`, as in TensorFlow: `(out - 1) s + k - n` in total, the smaller half before.
    Same,
}

impl Padding {
    /// Keras' name.
    pub fn name(self) -> &'static str {
        match self {
            Padding::Valid => "valid",
            Padding::Same => "same",
        }
    }

    /// Output extent and leading padding along an axis of extent `n`, for a window of `k` and a stride of `s`. `None`
    /// if the window does not fit.
    pub(crate) fn along(self, n: usize, k: usize, s: usize) -> Option<(usize, usize)> {
        if n == 0 || k == 0 || s == 0 {
            return None;
        }
        match self {
            Padding::Valid => Some((n.checked_sub(k)? / s + 1, 0)),
            Padding::Same => {
                let out = n.div_ceil(s);
                Some((out, ((out - 1) * s + k).saturating_sub(n) / 2))
            }
        }
    }
}

/// The padding of a convolution's image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImagePadding {
    /// One of Keras' kinds.
    Keras(Padding),
    /// This many rows above and below, and columns to the left and right: `[[top, bottom], [left, right]]`. They are fewer than
    /// those of the window.
    Pixels([[usize; 2]; 2]),
}

impl From<Padding> for ImagePadding {
    fn from(padding: Padding) -> ImagePadding {
        ImagePadding::Keras(padding)
    }
}

impl Display for ImagePadding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            ImagePadding::Keras(padding) => f.write_str(padding.name()),
            ImagePadding::Pixels(pixels) => write!(f, "{pixels:?}"),
        }
    }
}

impl ImagePadding {
    /// As [`Padding::along`], for an axis of the image.
    fn along(self, axis: usize, n: usize, k: usize, s: usize) -> Option<(usize, usize)> {
        match self {
            ImagePadding::Keras(padding) => padding.along(n, k, s),
            ImagePadding::Pixels(pixels) => {
                let [before, after] = pixels[axis];
                let padded = n.checked_add(before)?.checked_add(after)?;
                let (out, _) = Padding::Valid.along(padded, k, s)?;
                (n > 0 && before.max(after) < k).then_some((out, before))
            }
        }
    }
}

/// The extents of a window of `size` taps that are `dilation` pixels apart. `None` if one of these is 0, or the window is
/// too large for the kernels' 32-bit positions.
pub(crate) fn dilated(size: [usize; 2], dilation: [usize; 2]) -> Option<[usize; 2]> {
    let along = |axis: usize| {
        let extent = size[axis].checked_sub(1)?.checked_mul(dilation[axis])?.checked_add(1)?;
        (dilation[axis] > 0 && extent < 1 << 30).then_some(extent)
    };
    Some([along(0)?, along(1)?])
}

/// A window's size, steps and padding on an image, and the size of the result. All in pixels, `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlidingWindow {
    pub(crate) image: [usize; 2],
    pub(crate) size: [usize; 2],
    pub(crate) strides: [usize; 2],
    pub(crate) out: [usize; 2],
    pub(crate) before: [usize; 2],
}

impl SlidingWindow {
    /// `None` if the window does not fit the image.
    pub(crate) fn new(
        image: [usize; 2],
        size: [usize; 2],
        strides: [usize; 2],
        padding: impl Into<ImagePadding>,
    ) -> Option<SlidingWindow> {
        let padding = padding.into();
        let (out_y, top) = padding.along(0, image[0], size[0], strides[0])?;
        let (out_x, left) = padding.along(1, image[1], size[1], strides[1])?;
        // Where there is one window only, any stride gives the same result: kernels count in 32 bits.
        let stride = |axis: usize| strides[axis].min(image[axis].max(size[axis]));
        Some(SlidingWindow { image, size, strides: [stride(0), stride(1)], out: [out_y, out_x], before: [top, left] })
    }

    /// Calls `visit(output, input, tap)` for every pair of an output pixel and an image pixel in its window, in
    /// row-major order. For references.
    pub(crate) fn each(&self, mut visit: impl FnMut(usize, usize, usize)) {
        for out in 0..self.out[0] * self.out[1] {
            let (oy, ox) = (out / self.out[1], out % self.out[1]);
            for tap in 0..self.size[0] * self.size[1] {
                let y = (oy * self.strides[0] + tap / self.size[1]).checked_sub(self.before[0]);
                let x = (ox * self.strides[1] + tap % self.size[1]).checked_sub(self.before[1]);
                if let (Some(y), Some(x)) = (y, x)
                    && y < self.image[0]
                    && x < self.image[1]
                {
                    visit(out, y * self.image[1] + x, tap);
                }
            }
        }
    }

    /// The 1 x 1 window on the result of this one.
    pub(crate) fn of_single_pixels(&self) -> SlidingWindow {
        SlidingWindow { image: self.out, size: [1, 1], strides: [1, 1], out: self.out, before: [0, 0] }
    }

    /// The type of the result, `[N, OH, OW, channels]`.
    pub(crate) fn result(&self, images: usize, channels: usize) -> TensorType {
        TensorType::f32([images, self.out[0], self.out[1], channels])
    }

    /// The number of steps of the window that cover the image along an axis.
    pub(crate) fn cells(&self, axis: usize) -> usize {
        (self.image[axis] + self.before[axis]).div_ceil(self.strides[axis])
    }

    /// The overrides of `shaders/lib/window.wgsl`.
    pub(crate) fn overrides(&self) -> Overrides {
        let [[height, width], [out_height, out_width], [window_height, window_width]] =
            [self.image, self.out, self.size].map(|extents| extents.map(|n| n as u32));
        let [[stride_y, stride_x], [pad_top, pad_left]] =
            [self.strides, self.before].map(|pixels| pixels.map(|n| n as u32));
        Overrides {
            height,
            width,
            out_height,
            out_width,
            window_height,
            window_width,
            stride_y,
            stride_x,
            pad_top,
            pad_left,
        }
    }

    /// The numbers of pixels of the image and of the result.
    pub(crate) fn pixels(&self) -> (usize, usize) {
        (self.image[0] * self.image[1], self.out[0] * self.out[1])
    }
}

/// The window of a pooling op and the extents of its input, f32 `[N, H, W, C]`.
///
/// # Errors
/// If the window does not fit the input.
pub(crate) fn pooling(
    op: &'static str,
    inputs: &[TensorType],
    size: [usize; 2],
    strides: [usize; 2],
    padding: impl Into<ImagePadding>,
) -> Result<(SlidingWindow, [usize; 4])> {
    let fit = |x: &TensorType| {
        let dims: [usize; 4] = x.shape.dims()?;
        let window = SlidingWindow::new([dims[1], dims[2]], size, strides, padding)?;
        (x.dtype == DType::F32).then_some((window, dims))
    };
    match inputs {
        [x] => fit(x),
        _ => None,
    }
    .ok_or_else(|| Error::inputs(op, format!("f32 [N, H, W, C], at least as large as the window {size:?}"), inputs))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_stride_of_a_single_window_is_bounded() {
        for padding in [Padding::Same, Padding::Valid] {
            let window = SlidingWindow::new([8, 9], [3, 4], [usize::MAX, 715_827_883], padding).unwrap();
            assert_eq!((window.out, window.strides), ([1, 1], [8, 9]));
        }
        let window = SlidingWindow::new([8, 9], [3, 3], [7, 5], Padding::Same).unwrap();
        assert_eq!((window.out, window.strides), ([2, 2], [7, 5]));
    }

    #[test]
    fn same_pads_the_smaller_half_before_as_tensorflow_does() {
        assert_eq!(Padding::Same.along(4, 2, 1), Some((4, 0)));
        assert_eq!(Padding::Same.along(4, 3, 2), Some((2, 0)));
        assert_eq!(Padding::Same.along(5, 3, 2), Some((3, 1)));
        assert_eq!(Padding::Same.along(28, 5, 1), Some((28, 2)));
        assert_eq!(Padding::Same.along(3, 1, 2), Some((2, 0)));
    }

    #[test]
    fn valid_drops_what_does_not_fill_a_window() {
        assert_eq!(Padding::Valid.along(9, 2, 2), Some((4, 0)));
        assert_eq!(Padding::Valid.along(2, 3, 1), None);
        assert_eq!(Padding::Valid.along(2, 1, 0), None);
    }
}
