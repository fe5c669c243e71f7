//! Operators of constants, computed when a graph is read: most compute the target of a Reshape from shapes.

use super::super::proto::BOOL;
use super::constant::{BATCH, Constant, Data, elements, strides};
use super::node::Node;

/// The result of an operator of constants; `None` if it is none of those that are computed.
///
/// # Errors
/// If its inputs or attributes are not those of the operator.
pub(super) fn fold(node: &Node<'_>, inputs: &[Option<&Constant>]) -> Option<Result<Constant, String>> {
    let first = inputs.first().copied().flatten();
    let wrong = || node.problem("inputs that fit the operator", "others");
    let folded = match node.op() {
        "Identity" | "Dropout" => first.cloned().ok_or_else(wrong),
        "Cast" => cast(node, first.ok_or_else(wrong)),
        "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" => reshaped(node, inputs),
        "Transpose" => first.ok_or_else(wrong).and_then(|x| {
            let reverse = || (0..x.dims.len()).rev().map(|axis| axis as i64).collect();
            let order = node.axes(&node.ints("perm").unwrap_or_else(reverse), x.dims.len())?;
            let mut sorted = order.clone();
            sorted.sort_unstable();
            if sorted.into_iter().eq(0..x.dims.len()) { Ok(x.transposed(&order)) } else { Err(wrong()) }
        }),
        "Shape" => first.ok_or_else(wrong).and_then(|x| {
            let extents = x.dims.iter().map(|&extent| extent as i64).collect();
            match node.int("start").is_none() && node.int("end").is_none() {
                true => Ok(Constant::list(extents)),
                false => Err(node.problem("the whole shape of a constant", "a part of it")),
            }
        }),
        "ConstantOfShape" => filled(node, first.ok_or_else(wrong)),
        "Gather" => gathered(node, inputs),
        "Slice" => sliced(node, inputs),
        "Concat" => concatenated(node, inputs),
        "Add" | "Sub" | "Mul" | "Div" => binary(node, inputs),
        "Neg" | "Sqrt" | "Reciprocal" | "Exp" | "Floor" | "Ceil" => unary(node, first.ok_or_else(wrong)),
        _ => return None,
    };
    Some(folded)
}

fn cast(node: &Node<'_>, x: Result<&Constant, String>) -> Result<Constant, String> {
    let x = x?;
    let to = node.int("to").unwrap_or_default();
    let data = match (node.is_float_type(to)?, &x.data) {
        (is_float, Data::Ints(values)) if values.contains(&BATCH) && (is_float || to == i64::from(BOOL)) => {
            return Err(node.problem("numbers that do not depend on the batch", "others"));
        }
        (true, _) => Data::Floats(x.values()),
        (false, Data::Floats(values)) if to == i64::from(BOOL) => {
            Data::Ints(values.iter().map(|&value| i64::from(value != 0.0)).collect())
        }
        (false, Data::Floats(values)) => Data::Ints(values.iter().map(|&value| value as i64).collect()),
        (false, Data::Ints(values)) if to == i64::from(BOOL) => {
            Data::Ints(values.iter().map(|&value| i64::from(value != 0)).collect())
        }
        (false, Data::Ints(values)) => Data::Ints(values.clone()),
    };
    Ok(Constant { dims: x.dims.clone(), data })
}

fn reshaped(node: &Node<'_>, inputs: &[Option<&Constant>]) -> Result<Constant, String> {
    let x = inputs.first().copied().flatten().ok_or_else(|| node.problem("a tensor", "none"))?;
    let target = node
        .target(&x.dims.iter().map(|&extent| extent as i64).collect::<Vec<i64>>(), inputs.get(1).copied().flatten())?;
    let dims: Option<Vec<usize>> = target.iter().map(|&extent| usize::try_from(extent).ok()).collect();
    let dims = dims.filter(|dims| elements(dims) == Some(x.elements()));
    let wrong = || node.problem(format!("{} elements", x.elements()), format!("a shape {target:?}"));
    Ok(Constant { dims: dims.ok_or_else(wrong)?, data: x.data.clone() })
}

fn gathered(node: &Node<'_>, inputs: &[Option<&Constant>]) -> Result<Constant, String> {
    let wrong = || node.problem("a list and indices of its elements", "others");
    let [Some(x), Some(indices)] = inputs else { return Err(wrong()) };
    let indices_of = indices.ints().ok_or_else(wrong)?;
    if x.dims.len() != 1 || node.int("axis").unwrap_or(0) != 0 {
        return Err(wrong());
    }
    let place = |&index: &i64| {
        let index = if index < 0 { index.checked_add(x.dims[0] as i64)? } else { index };
        usize::try_from(index).ok().filter(|&index| index < x.dims[0])
    };
    let found: Option<Vec<usize>> = indices_of.iter().map(place).collect();
    Ok(x.picked(indices.dims.clone(), found.ok_or_else(wrong)?.into_iter()))
}

/// The most values of a tensor that repeats one.
const MOST_FILLED: usize = 1 << 16;

fn filled(node: &Node<'_>, shape: Result<&Constant, String>) -> Result<Constant, String> {
    let wrong = || node.problem(format!("a shape of at most {MOST_FILLED} values"), "another");
    let extents = shape?.ints().ok_or_else(wrong)?;
    let dims: Vec<usize> = extents.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<_>>().ok_or_else(wrong)?;
    let elements = elements(&dims).filter(|&elements| elements <= MOST_FILLED);
    let elements = elements.ok_or_else(wrong)?;
    let value = node.tensor("value").unwrap_or_else(|| Ok(Constant::floats(vec![1], vec![0.0])))?;
    if value.elements() != 1 {
        return Err(node.wrong("value", "a single value", format!("{:?}", value.dims)));
    }
    Ok(value.picked(dims, std::iter::repeat_n(0, elements)))
}

fn sliced(node: &Node<'_>, inputs: &[Option<&Constant>]) -> Result<Constant, String> {
    let x = inputs.first().copied().flatten().ok_or_else(|| node.problem("a tensor", "none"))?;
    let ranges = node.slices(&x.dims, &inputs[1..])?;
    let mut kept: Vec<usize> = vec![0];
    // The places along the axes so far, in row-major order.
    for (range, stride) in ranges.iter().zip(strides(&x.dims)) {
        let along = |&first: &usize| range.iter().map(move |place| first + place * stride);
        kept = kept.iter().flat_map(along).collect();
    }
    Ok(x.picked(ranges.iter().map(Vec::len).collect(), kept.into_iter()))
}

/// Lists as one, or tensors along their first axis.
fn concatenated(node: &Node<'_>, inputs: &[Option<&Constant>]) -> Result<Constant, String> {
    let wrong = || node.problem("lists of the same type", "other tensors");
    let inputs: Vec<&Constant> = inputs.iter().copied().collect::<Option<_>>().ok_or_else(wrong)?;
    if inputs.iter().any(|input| input.dims.len() != 1) {
        return Err(wrong());
    }
    node.int("axis");
    let ints: Option<Vec<&[i64]>> = inputs.iter().map(|input| input.ints()).collect();
    match ints {
        Some(lists) => Ok(Constant::list(lists.concat())),
        None if inputs.iter().any(|input| input.ints().is_some()) => Err(wrong()),
        None => {
            let values: Vec<f32> = inputs.iter().flat_map(|input| input.values()).collect();
            Ok(Constant::floats(vec![values.len()], values))
        }
    }
}

fn unary(node: &Node<'_>, x: Result<&Constant, String>) -> Result<Constant, String> {
    let x = x?;
    match (&x.data, node.op()) {
        (Data::Ints(values), "Neg") if !values.contains(&BATCH) => {
            Ok(Constant { dims: x.dims.clone(), data: Data::Ints(values.iter().map(|value| -value).collect()) })
        }
        (Data::Ints(_), _) => Err(node.problem("floats", "whole numbers")),
        (Data::Floats(values), op) => {
            let function = |&x: &f32| match op {
                "Neg" => -x,
                "Sqrt" => x.sqrt(),
                "Reciprocal" => 1.0 / x,
                "Exp" => x.exp(),
                "Floor" => x.floor(),
                _ => x.ceil(),
            };
            Ok(Constant::floats(x.dims.clone(), values.iter().map(function).collect()))
        }
    }
}

/// A function of two tensors of the same shape, or of one and a number.
fn binary(node: &Node<'_>, inputs: &[Option<&Constant>]) -> Result<Constant, String> {
    let wrong = || node.problem("constants of the same shape, or a number", "others");
    let [Some(x), Some(y)] = inputs else { return Err(wrong()) };
    let dims = match (x.elements(), y.elements()) {
        _ if x.dims == y.dims => x.dims.clone(),
        (_, 1) if x.dims.len() >= y.dims.len() => x.dims.clone(),
        (1, _) if y.dims.len() >= x.dims.len() => y.dims.clone(),
        _ => return Err(wrong()),
    };
    let places =
        |of: &Constant| (0..dims.iter().product::<usize>()).map(|place| place.min(of.elements() - 1)).collect();
    let [at_x, at_y]: [Vec<usize>; 2] = [places(x), places(y)];
    let data = match (&x.data, &y.data) {
        (Data::Ints(a), Data::Ints(b)) => {
            let function = |(&i, &j): (&usize, &usize)| {
                let (a, b) = (a[i], b[j]);
                if a == BATCH || b == BATCH {
                    return None;
                }
                match node.op() {
                    "Add" => a.checked_add(b),
                    "Sub" => a.checked_sub(b),
                    "Mul" => a.checked_mul(b),
                    _ => a.checked_div(b),
                }
            };
            let values: Option<Vec<i64>> = at_x.iter().zip(&at_y).map(function).collect();
            Data::Ints(values.ok_or_else(|| node.problem("numbers that do not depend on the batch", "others"))?)
        }
        (Data::Floats(a), Data::Floats(b)) => {
            let function = |(&i, &j): (&usize, &usize)| match node.op() {
                "Add" => a[i] + b[j],
                "Sub" => a[i] - b[j],
                "Mul" => a[i] * b[j],
                _ => a[i] / b[j],
            };
            Data::Floats(at_x.iter().zip(&at_y).map(function).collect())
        }
        _ => return Err(wrong()),
    };
    Ok(Constant { dims, data })
}
