//! Maximum, minimum and clamp for references, which propagate NaN, unlike those of `f64`.

/// The larger, or NaN if either is.
pub(crate) fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// The smaller, or NaN if either is.
pub(crate) fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// `min(max(v, low), high)`, or NaN if any of them is.
pub(crate) fn clamped(v: f64, low: f64, high: f64) -> f64 {
    smaller(larger(v, low), high)
}
