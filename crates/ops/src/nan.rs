//! Maxima, minima and clamps of references that keep NaN, which those of `f64` drop.

/// The larger, or NaN where either is.
pub(crate) fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// The smaller, or NaN where either is.
pub(crate) fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// `min(max(v, low), high)`, or NaN where any of them is.
pub(crate) fn clamped(v: f64, low: f64, high: f64) -> f64 {
    smaller(larger(v, low), high)
}
