//! Chroma upsampling: `out = (3 near + far) / 4` along each halved axis, with libjpeg's rounding (`jdsample.c`), and
//! repeated values for other ratios.

use super::Problem;
use super::color::Colors;
use super::frame::{Component, Frame};
use super::planes::{Plane, Planes};

/// The upsampling filter of a component.
#[derive(Clone, Copy)]
enum Filter {
    /// Repetition, by factors along x and y.
    Repeat([usize; 2]),
    /// Half along x.
    Columns,
    /// Half along y.
    Rows,
    /// Half along both.
    Both,
}

impl Filter {
    fn of(component: &Component, frame: &Frame) -> Result<Filter, Problem> {
        let [[x, y], [most_x, most_y]] = [component.sampling, frame.sampling];
        if most_x % x != 0 || most_y % y != 0 {
            return Err(Problem::damaged("sampling factors that do not divide each other"));
        }
        // Two columns are too few for libjpeg's triangle filter.
        let wide = component.size[0] > 2;
        Ok(match [most_x / x, most_y / y] {
            [2, 1] if wide => Filter::Columns,
            [1, 2] => Filter::Rows,
            [2, 2] if wide => Filter::Both,
            ratio => Filter::Repeat(ratio),
        })
    }
}

/// Writes the image's interleaved, converted values.
pub(super) fn interleave(frame: &Frame, planes: &Planes, colors: Colors, values: &mut [u8]) -> Result<(), Problem> {
    let filters: Vec<Filter> =
        frame.components.iter().map(|component| Filter::of(component, frame)).collect::<Result<_, _>>()?;
    // Filters write pairs, possibly one value too many.
    let mut lines = vec![vec![0; frame.width + frame.sampling[0] + 1]; frame.components.len()];
    let mut sums = Vec::new();
    for (y, out) in values.chunks_exact_mut(frame.width * colors.channels()).enumerate() {
        for (((component, plane), &filter), line) in
            frame.components.iter().zip(&planes.0).zip(&filters).zip(&mut lines)
        {
            fill(line, y, component, plane, filter, &mut sums);
        }
        colors.convert(&lines, out);
    }
    Ok(())
}

/// Upsamples row `y` of the image for one component.
fn fill(line: &mut [u8], y: usize, component: &Component, plane: &Plane, filter: Filter, sums: &mut Vec<u16>) {
    let [width, height] = component.size;
    let row = |row: usize| plane.row(row.min(height - 1)).get(..width).unwrap_or_default();
    // The upper of two output rows uses the row above, the lower one the row below.
    let (near, far) = (y / 2, if y.is_multiple_of(2) { (y / 2).saturating_sub(1) } else { y / 2 + 1 });
    match filter {
        Filter::Repeat([1, down]) => line.iter_mut().zip(row(y / down)).for_each(|(out, &value)| *out = value),
        Filter::Repeat([across, down]) => {
            let repeated = row(y / down).iter().flat_map(|&value| std::iter::repeat_n(value, across));
            line.iter_mut().zip(repeated).for_each(|(out, value)| *out = value);
        }
        Filter::Columns => columns(row(y), line),
        Filter::Rows => {
            let half = if y.is_multiple_of(2) { 1 } else { 2 };
            for ((out, &near), &far) in line.iter_mut().zip(row(near)).zip(row(far)) {
                *out = ((3 * u16::from(near) + u16::from(far) + half) >> 2) as u8;
            }
        }
        Filter::Both => {
            sums.clear();
            sums.extend(row(near).iter().zip(row(far)).map(|(&near, &far)| 3 * u16::from(near) + u16::from(far)));
            both(sums, line);
        }
    }
}

/// Doubles each value along x.
fn columns(row: &[u8], line: &mut [u8]) {
    for ((i, &value), out) in row.iter().enumerate().zip(line.chunks_exact_mut(2)) {
        let at = |i: usize| u16::from(row[i]);
        let three = 3 * u16::from(value);
        out[0] = if i == 0 { value } else { ((three + at(i - 1) + 1) >> 2) as u8 };
        out[1] = if i + 1 == row.len() { value } else { ((three + at(i + 1) + 2) >> 2) as u8 };
    }
}

/// Doubles each sum of four quarters along x.
fn both(sums: &[u16], line: &mut [u8]) {
    for ((i, &sum), out) in sums.iter().enumerate().zip(line.chunks_exact_mut(2)) {
        let before = if i == 0 { sum } else { sums[i - 1] };
        let after = if i + 1 == sums.len() { sum } else { sums[i + 1] };
        out[0] = ((3 * sum + before + 8) >> 4) as u8;
        out[1] = ((3 * sum + after + 7) >> 4) as u8;
    }
}
