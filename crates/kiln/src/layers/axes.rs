//! Layers that work along some axes of a sample.

use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::Permute;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::{BuildError, Call};
use crate::keras_object::shown;

/// Reads axes: a number, a list of numbers, or null for none.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<i64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let axes = match &value {
        Value::Null => Some(Vec::new()),
        Value::Array(axes) => axes.iter().map(Value::as_i64).collect(),
        single => single.as_i64().map(|axis| vec![axis]),
    };
    let expected = || serde::de::Error::custom(format!("expected an axis or a list of axes, found {}", shown(&value)));
    axes.ok_or_else(expected)
}

/// Writes axes: a single one as a number.
pub(super) fn write<S: Serializer>(axes: &[i64], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    match axes {
        [axis] => serializer.serialize_i64(*axis),
        axes => axes.serialize(serializer),
    }
}

/// The places of these axes of a sample in ascending order, where the batch is axis 0 and -1 the last axis.
///
/// # Errors
/// If an axis is the batch, does not exist, or occurs twice.
pub(super) fn places(
    argument: &'static str,
    axes: &[i64],
    sample: &Shape,
) -> std::result::Result<Vec<usize>, BuildError> {
    let rank = sample.len() as i64 + 1;
    let place = |&axis: &i64| match axis {
        axis if (1..rank).contains(&axis) => Some(axis as usize),
        axis if (1 - rank..0).contains(&axis) => Some((axis + rank) as usize),
        _ => None,
    };
    let places: Option<Vec<usize>> = axes.iter().map(place).collect();
    let sorted = places.map(|mut places| {
        places.sort_unstable();
        places
    });
    let different = sorted.filter(|places| places.windows(2).all(|pair| pair[0] != pair[1]));
    let expected = || format!("axes 1 to {} of the sample, or -1 for the last, each once", rank - 1);
    different.ok_or_else(|| BuildError::argument(argument, expected(), format!("{axes:?}")))
}

/// The extents of a sample along these places.
pub(super) fn extents(places: &[usize], sample: &Shape) -> Vec<usize> {
    places.iter().map(|&place| sample[place - 1]).collect()
}

/// Applies a function to the input with these places last, and returns its result, of the same shape, in the input's
/// order.
///
/// # Errors
/// If the function fails, or returns another shape.
pub(super) fn with_last(
    call: &mut Call<'_>,
    places: &[usize],
    apply: impl FnOnce(&mut Call<'_>, Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let x = call.input();
    let rank = call.shape(x).len();
    let others = (0..rank).filter(|place| !places.contains(place));
    let order: Vec<usize> = others.chain(places.iter().copied()).collect();
    if order.iter().copied().eq(0..rank) {
        return apply(call, x);
    }
    let permute = Permute { order };
    let x = call.add(permute.clone(), &[x])?;
    let y = apply(call, x)?;
    call.add(permute.inverse(), &[y])
}

/// Applies a function to the input as a matrix whose rows are the values along these places, and returns its result in the
/// input's shape.
///
/// # Errors
/// If the function fails, or returns another shape.
pub(super) fn along(
    call: &mut Call<'_>,
    places: &[usize],
    apply: impl FnOnce(&mut Call<'_>, Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    with_last(call, places, |call, x| {
        let shape = call.shape(x).clone();
        let width: usize = shape[shape.len() - places.len()..].iter().product();
        let matrix = call.reshape(x, [shape.elements() / width.max(1), width])?;
        let y = apply(call, matrix)?;
        call.reshape(y, shape)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn axes_count_the_batch_and_from_the_end() {
        let found = |axes: &[i64]| places("axis", axes, &[5, 4, 3].into());
        assert_eq!(found(&[-1]), Ok(vec![3]));
        assert_eq!(found(&[3, 1]), Ok(vec![1, 3]));
        assert_eq!(found(&[]), Ok(vec![]));
        for wrong in [&[0][..], &[4], &[-4], &[3, -1]] {
            let error = found(wrong).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("axis: expected axes 1 to 3 of the sample, or -1 for the last, each once, found {wrong:?}")
            );
        }
    }
}
