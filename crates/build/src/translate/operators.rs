//! Operators, `select` and conversions.

use naga::{BinaryOperator, Expression, Handle, Literal, ScalarKind, TypeInner, UnaryOperator};

use super::expression::Result;
use super::function::Body;
use super::types::rust_type;
use super::uniformity::Class;
use super::value::{Rank, Value};

impl<'a> Body<'a, '_> {
    pub(super) fn unary(&mut self, op: UnaryOperator, operand: Handle<Expression>, class: Class) -> Result<Value> {
        let value = self.value_as(operand, &class)?;
        let is_i32 = matches!(self.inner(operand), TypeInner::Scalar(scalar) if scalar.kind == ScalarKind::Sint);
        Ok(match op {
            UnaryOperator::Negate if is_i32 && class == Class::Uniform => value.method("wrapping_neg", ""),
            UnaryOperator::Negate => Value::ranked(format!("-{}", value.within(Rank::Whole)), class, Rank::Unary),
            UnaryOperator::LogicalNot | UnaryOperator::BitwiseNot => {
                Value::ranked(format!("!{}", value.within(Rank::Unary)), class, Rank::Unary)
            }
        })
    }

    pub(super) fn binary(
        &mut self,
        op: BinaryOperator,
        left: Handle<Expression>,
        right: Handle<Expression>,
        class: Class,
    ) -> Result<Value> {
        use BinaryOperator as Op;
        let (left_inner, right_inner) = (self.inner(left), self.inner(right));
        if matches!(left_inner, TypeInner::Matrix { .. }) || matches!(right_inner, TypeInner::Matrix { .. }) {
            return self.matrix(op, left, right, class);
        }
        // For `first + lane` and its derivatives, only `first` is computed.
        if matches!(class, Class::Linear | Class::Clamped) {
            let (a, b) = (self.value(left)?, self.value(right)?);
            let (a, b) = if a.class == Class::Uniform { (b, a) } else { (a, b) };
            let method = if op == Op::Add { "wrapping_add" } else { "wrapping_sub" };
            if class == Class::Linear {
                return Ok(a.method(method, &b.text));
            }
            return Ok(a.operator(if op == Op::Add { "+" } else { "-" }, Rank::Sum, &b, class));
        }
        let (a, b) = (self.value_as(left, &class)?, self.value_as(right, &class)?);
        let scalars = matches!((left_inner, right_inner), (TypeInner::Scalar(_), TypeInner::Scalar(_)));
        let kind = left_inner.scalar_kind();
        let integer = matches!(kind, Some(ScalarKind::Uint | ScalarKind::Sint));
        let function = |name: &str, a: &Value, b: &Value| {
            Value::whole(format!("wgsl::{name}({}, {})", a.text, b.text), class.clone())
        };
        if class == Class::Uniform && scalars && integer {
            let method = match op {
                Op::Add => Some("wrapping_add"),
                Op::Subtract => Some("wrapping_sub"),
                Op::Multiply => Some("wrapping_mul"),
                Op::ShiftLeft => Some("wrapping_shl"),
                Op::ShiftRight => Some("wrapping_shr"),
                _ => None,
            };
            match (op, method) {
                (_, Some(method)) => return Ok(a.method(method, &b.text)),
                (Op::Divide, _) if self.divides_safely(right) => return Ok(a.operator("/", Rank::Product, &b, class)),
                (Op::Modulo, _) if self.divides_safely(right) => return Ok(a.operator("%", Rank::Product, &b, class)),
                (Op::Divide, _) => return Ok(function("div", &a, &b)),
                (Op::Modulo, _) => return Ok(function("rem", &a, &b)),
                _ => {}
            }
        }
        let operator = |operator: &str, rank: Rank| Ok(a.operator(operator, rank, &b, class.clone()));
        let compare = |name: &str, symbol: &str| {
            if class == Class::Uniform && scalars {
                return Ok(a.operator(symbol, Rank::Compare, &b, class.clone()));
            }
            Ok(Value::whole(format!("Compare::{name}({}, {})", a.text, b.text), class.clone()))
        };
        match op {
            Op::Add => operator("+", Rank::Sum),
            Op::Subtract => operator("-", Rank::Sum),
            Op::Multiply => match (left_inner, right_inner) {
                // A vector is scaled from the right.
                (TypeInner::Scalar(_), TypeInner::Vector { .. }) => {
                    Ok(b.operator("*", Rank::Product, &a, class.clone()))
                }
                _ => operator("*", Rank::Product),
            },
            Op::Divide => operator("/", Rank::Product),
            Op::Modulo => operator("%", Rank::Product),
            Op::Equal => compare("eq", "=="),
            Op::NotEqual => compare("ne", "!="),
            Op::Less => compare("lt", "<"),
            Op::LessEqual => compare("le", "<="),
            Op::Greater => compare("gt", ">"),
            Op::GreaterEqual => compare("ge", ">="),
            Op::And => operator("&", Rank::BitAnd),
            Op::ExclusiveOr => operator("^", Rank::BitXor),
            Op::InclusiveOr => operator("|", Rank::BitOr),
            Op::LogicalAnd if class == Class::Uniform => operator("&&", Rank::And),
            Op::LogicalAnd => operator("&", Rank::BitAnd),
            Op::LogicalOr if class == Class::Uniform => operator("||", Rank::Or),
            Op::LogicalOr => operator("|", Rank::BitOr),
            Op::ShiftLeft => operator("<<", Rank::Shift),
            Op::ShiftRight => operator(">>", Rank::Shift),
        }
    }

    /// Whether division by this integer is defined for every dividend.
    pub(super) fn divides_safely(&self, divisor: Handle<Expression>) -> bool {
        match self.function.expressions[divisor] {
            Expression::Literal(Literal::U32(value)) => value != 0,
            Expression::Literal(Literal::I32(value)) => value != 0 && value != -1,
            _ => false,
        }
    }

    pub(super) fn matrix(
        &mut self,
        op: BinaryOperator,
        left: Handle<Expression>,
        right: Handle<Expression>,
        class: Class,
    ) -> Result<Value> {
        let (a, b) = (self.value_as(left, &class)?.text, self.value_as(right, &class)?.text);
        let is_matrix = |inner: &TypeInner| matches!(inner, TypeInner::Matrix { .. });
        let is_vector = |inner: &TypeInner| matches!(inner, TypeInner::Vector { .. });
        let (l, r) = (self.inner(left), self.inner(right));
        let text = match op {
            BinaryOperator::Add => format!("wgsl::matrix_add({a}, {b})"),
            BinaryOperator::Subtract => format!("wgsl::matrix_sub({a}, {b})"),
            BinaryOperator::Multiply if is_matrix(l) && is_matrix(r) => format!("wgsl::matrix_mul({a}, {b})"),
            BinaryOperator::Multiply if is_vector(r) => format!("wgsl::matrix_times_vector({a}, {b})"),
            BinaryOperator::Multiply if is_vector(l) => {
                let ty = match *r {
                    TypeInner::Matrix { columns, scalar, .. } => {
                        rust_type(&self.translation.shader.module, &TypeInner::Vector { size: columns, scalar }, &class)
                    }
                    _ => None,
                };
                format!("wgsl::vector_times_matrix::<_, {}, _>({a}, {b})", ty.unwrap_or_else(|| "_".to_owned()))
            }
            BinaryOperator::Multiply if is_matrix(l) => format!("wgsl::matrix_scale({a}, {b})"),
            BinaryOperator::Multiply => format!("wgsl::matrix_scale({b}, {a})"),
            _ => return self.unsupported(left, "this operator on a matrix"),
        };
        Ok(Value::whole(text, class))
    }

    pub(super) fn select(
        &mut self,
        condition: Handle<Expression>,
        accept: Handle<Expression>,
        reject: Handle<Expression>,
        class: Class,
    ) -> Result<Value> {
        if self.class(condition).is_uniform() && !matches!(self.inner(condition), TypeInner::Vector { .. }) {
            let test = self.value(condition)?;
            if let Some(loaded) = self.load_or_zero(&test, accept, reject)? {
                return Ok(loaded);
            }
            let (accept, reject) = (self.value_as(accept, &class)?, self.value_as(reject, &class)?);
            let text = format!("if {} {{ {} }} else {{ {} }}", test.text, accept.text, reject.text);
            return Ok(Value::ranked(text, class, Rank::Block));
        }
        let test = self.value_as(condition, &class)?;
        let (accept, reject) = (self.value_as(accept, &class)?, self.value_as(reject, &class)?);
        Ok(test.method("select", &format!("{}, {}", accept.text, reject.text)).with_class(class))
    }

    /// `select(0, memory[i], condition)`: selects the address, not the value, so that uses of the load become memory
    /// operands.
    pub(super) fn load_or_zero(
        &mut self,
        test: &Value,
        accept: Handle<Expression>,
        reject: Handle<Expression>,
    ) -> Result<Option<Value>> {
        let is_zero = match self.function.expressions[reject] {
            Expression::ZeroValue(_) => true,
            Expression::Literal(Literal::F32(value)) => value.to_bits() == 0,
            Expression::Literal(Literal::U32(0) | Literal::I32(0)) => true,
            _ => false,
        };
        match self.function.expressions[accept] {
            Expression::Load { pointer } if is_zero && !self.bound.contains_key(&accept) => {
                self.load_if(&test.text, pointer)
            }
            _ => Ok(None),
        }
    }

    pub(super) fn cast(
        &mut self,
        handle: Handle<Expression>,
        from: Handle<Expression>,
        kind: ScalarKind,
        convert: Option<u8>,
        class: Class,
    ) -> Result<Value> {
        let (rust, to, bits) = match kind {
            ScalarKind::Float => ("f32", "to_f32", "bits_f32"),
            ScalarKind::Uint => ("u32", "to_u32", "bits_u32"),
            ScalarKind::Sint => ("i32", "to_i32", "bits_i32"),
            ScalarKind::Bool => ("bool", "to_bool", "to_bool"),
            _ => return self.unsupported(handle, "a conversion to this type"),
        };
        if convert.is_some_and(|bytes| bytes != 4 && kind != ScalarKind::Bool) {
            return self.unsupported(handle, "a conversion to a type that is not of 32 bits");
        }
        let value = self.value_as(from, &class)?;
        if matches!(self.inner(from), TypeInner::Matrix { .. }) || self.inner(from).scalar_kind() == Some(kind) {
            return Ok(value);
        }
        // Integer conversions of scalars and linear values use Rust's `as`.
        let integers = matches!(kind, ScalarKind::Uint | ScalarKind::Sint)
            && matches!(self.inner(from), TypeInner::Scalar(scalar)
                if matches!(scalar.kind, ScalarKind::Uint | ScalarKind::Sint));
        let plain = integers || (convert.is_some() && kind != ScalarKind::Bool && self.is_number(from));
        if plain && matches!(class, Class::Uniform | Class::Linear) {
            return Ok(Value::ranked(format!("{} as {rust}", value.within(Rank::Unary)), class, Rank::Unary));
        }
        Ok(value.method(if convert.is_some() { to } else { bits }, "").with_class(class))
    }

    pub(super) fn is_number(&self, expression: Handle<Expression>) -> bool {
        matches!(self.inner(expression), TypeInner::Scalar(scalar) if scalar.kind != ScalarKind::Bool)
    }
}
