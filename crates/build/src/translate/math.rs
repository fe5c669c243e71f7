//! WGSL's built-in functions.

use naga::{Expression, Handle, MathFunction, TypeInner};

use super::expression::Result;
use super::function::Body;
use super::types::{convert, rust_type};
use super::uniformity::Class;
use super::value::Value;

impl Body<'_, '_> {
    pub(super) fn math(
        &mut self,
        handle: Handle<Expression>,
        function: MathFunction,
        arguments: &[Handle<Expression>],
        class: Class,
    ) -> Result<Value> {
        if class == Class::Clamped {
            return self.clamped(function, arguments);
        }
        if let (MathFunction::Transpose, TypeInner::Matrix { columns, rows, scalar }) = (function, self.inner(handle)) {
            let column = TypeInner::Vector { size: *rows, scalar: *scalar };
            let Some(column) = rust_type(&self.translation.shader.module, &column, &class) else {
                return self.unsupported(handle, "a matrix of this type");
            };
            let matrix = self.value_as(arguments[0], &class)?.text;
            let sizes = format!("{}, {}", *columns as u8, *rows as u8);
            return Ok(Value::whole(format!("wgsl::transpose::<_, {column}, {sizes}>({matrix})"), class));
        }
        let Some(name) = name(function) else {
            return self.unsupported(handle, format!("the function `{}`", wgsl_name(function)));
        };
        let mut values = Vec::with_capacity(arguments.len());
        for &argument in arguments {
            let value = self.value_as(argument, &class)?;
            // `mix` accepts a scalar for all components.
            let splat = match (self.inner(handle), self.inner(argument)) {
                (TypeInner::Vector { size, .. }, TypeInner::Scalar(_)) if function == MathFunction::Mix => Some(*size),
                _ => None,
            };
            values.push(match splat {
                Some(size) => format!("{}::splat({})", super::types::vector(size), value.text),
                None => value.text,
            });
        }
        Ok(Value::whole(format!("wgsl::{name}({})", values.join(", ")), class))
    }

    /// `min(first + lane, last)` and `clamp(first + lane, 0, last)`.
    fn clamped(&mut self, function: MathFunction, arguments: &[Handle<Expression>]) -> Result<Value> {
        let mut values = Vec::with_capacity(arguments.len());
        for &argument in arguments {
            values.push(self.value(argument)?);
        }
        let first = values.iter().position(|value| value.class == Class::Linear).unwrap_or(0);
        let last = if function == MathFunction::Clamp { values.len() - 1 } else { 1 - first.min(1) };
        let last = convert(values[last].clone(), &TypeInner::Scalar(naga::Scalar::U32), &Class::Uniform);
        Ok(Value::whole(format!("Clamped::new({}, {})", values[first].text, last.text), Class::Clamped))
    }
}

/// The name in kiln-simd, where there is one.
fn name(function: MathFunction) -> Option<&'static str> {
    use MathFunction as F;
    Some(match function {
        F::Abs => "abs",
        F::Min => "min",
        F::Max => "max",
        F::Clamp => "clamp",
        F::Saturate => "saturate",
        F::Cos => "cos",
        F::Cosh => "cosh",
        F::Sin => "sin",
        F::Sinh => "sinh",
        F::Tan => "tan",
        F::Tanh => "tanh",
        F::Acos => "acos",
        F::Asin => "asin",
        F::Atan => "atan",
        F::Atan2 => "atan2",
        F::Asinh => "asinh",
        F::Acosh => "acosh",
        F::Atanh => "atanh",
        F::Radians => "radians",
        F::Degrees => "degrees",
        F::Ceil => "ceil",
        F::Floor => "floor",
        F::Round => "round",
        F::Fract => "fract",
        F::Trunc => "trunc",
        F::Exp => "exp",
        F::Exp2 => "exp2",
        F::Log => "log",
        F::Log2 => "log2",
        F::Pow => "pow",
        F::Dot => "dot",
        F::Cross => "cross",
        F::Distance => "distance",
        F::Length => "length",
        F::Normalize => "normalize",
        F::Sign => "sign",
        F::Fma => "fma",
        F::Mix => "mix",
        F::Step => "step",
        F::SmoothStep => "smoothstep",
        F::Sqrt => "sqrt",
        F::InverseSqrt => "inverse_sqrt",
        F::CountTrailingZeros => "count_trailing_zeros",
        F::CountLeadingZeros => "count_leading_zeros",
        F::CountOneBits => "count_one_bits",
        F::ReverseBits => "reverse_bits",
        F::FirstTrailingBit => "first_trailing_bit",
        F::FirstLeadingBit => "first_leading_bit",
        F::Reflect => "reflect",
        F::Ldexp => "ldexp",
        F::Determinant => "determinant",
        F::ExtractBits => "extract_bits",
        F::InsertBits => "insert_bits",
        _ => return None,
    })
}

/// The name in WGSL, for messages.
fn wgsl_name(function: MathFunction) -> String {
    let name = format!("{function:?}");
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}
