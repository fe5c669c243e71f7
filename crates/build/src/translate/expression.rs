//! Expressions as Rust.

use naga::{BinaryOperator, Expression, Handle, Literal, RelationalFunction, ScalarKind, TypeInner, UnaryOperator};

use super::Unsupported;
use super::function::Body;
use super::types::{
    COMPONENTS, component, component_type, convert, literal, named_once, rust_type, struct_value, vector, zero,
};
use super::uniformity::Class;
use super::value::{Rank, Value};
use crate::names::ident;

pub(super) type Result<T> = std::result::Result<T, Unsupported>;

impl<'a> Body<'a, '_> {
    pub(super) fn class(&self, expression: Handle<Expression>) -> Class {
        match &self.classes.expressions[expression.index()] {
            Class::Unknown => Class::Uniform,
            class => class.clone(),
        }
    }

    pub(super) fn inner(&self, expression: Handle<Expression>) -> &'a TypeInner {
        self.info[expression].ty.inner_with(&self.translation.shader.module.types)
    }

    pub(super) fn unsupported<T>(&self, expression: Handle<Expression>, construct: impl Into<String>) -> Result<T> {
        Err(Unsupported::new(self.function.expressions.get_span(expression), construct))
    }

    /// The value as text: its name, or what it is computed from.
    pub(super) fn value(&mut self, expression: Handle<Expression>) -> Result<Value> {
        match self.bound.get(&expression) {
            Some(value) => Ok(value.clone()),
            None => self.compute(expression),
        }
    }

    /// The value in the form of `class`.
    pub(super) fn value_as(&mut self, expression: Handle<Expression>, class: &Class) -> Result<Value> {
        Ok(convert(self.value(expression)?, self.inner(expression), class))
    }

    fn values_as(&mut self, expressions: &[Handle<Expression>], class: &Class) -> Result<Vec<String>> {
        expressions.iter().map(|&expression| Ok(self.value_as(expression, class)?.text)).collect()
    }

    /// What the expression is computed from.
    pub(super) fn compute(&mut self, handle: Handle<Expression>) -> Result<Value> {
        let module = &self.translation.shader.module;
        let class = self.class(handle);
        match self.function.expressions[handle] {
            Expression::Literal(value) => match literal(value) {
                Some(value) => Ok(value),
                None => self.unsupported(handle, "a number that is not f32, i32 or u32"),
            },
            Expression::Constant(constant) => {
                let constant = &module.constants[constant];
                let known = &self.translation.shader.reflection.constants;
                match constant.name.as_deref().filter(|name| known.iter().any(|known| known.name == *name)) {
                    Some(name) => Ok(Value::uniform(format!("super::{}", ident(name)))),
                    None => self.translation.global_value(constant.init),
                }
            }
            Expression::Override(value) => {
                let name = module.overrides[value].name.as_deref().unwrap_or_default();
                Ok(Value::uniform(format!("shader.{}", ident(name))))
            }
            Expression::ZeroValue(ty) => match zero(module, &module.types[ty].inner) {
                Some(text) => Ok(Value::uniform(text)),
                None => self.unsupported(handle, "a value of this type"),
            },
            Expression::Compose { ty, ref components } => self.compose(handle, ty, components, class),
            Expression::Access { base, index } => self.access(handle, base, index, class),
            Expression::AccessIndex { base, index } => self.access_index(handle, base, index, class),
            Expression::Splat { size, value } => {
                let value = self.value_as(value, &class)?;
                Ok(Value::whole(format!("{}::splat({})", vector(size), value.text), class))
            }
            Expression::Swizzle { size, vector: from, ref pattern } => {
                let from = self.value(from)?;
                let parts: Vec<usize> = pattern[..size as usize].iter().map(|part| part.index() as usize).collect();
                let scalar = component_type(self.inner(handle));
                let text = named_once(from, |from| {
                    self.assemble(size, &class, &scalar, parts.iter().map(|&i| component(from, i)))
                });
                Ok(text.with_class(class))
            }
            Expression::FunctionArgument(index) => {
                Ok(Value::whole(self.arguments[index as usize].clone(), self.class(handle)))
            }
            Expression::Load { pointer } => self.load(pointer),
            Expression::Unary { op, expr } => self.unary(op, expr, class),
            Expression::Binary { op, left, right } => self.binary(op, left, right, class),
            Expression::Select { condition, accept, reject } => self.select(condition, accept, reject, class),
            Expression::Relational { fun, argument } => {
                let name = match fun {
                    RelationalFunction::All => "all",
                    RelationalFunction::Any => "any",
                    _ => return self.unsupported(handle, "a test for NaN or infinity"),
                };
                let value = self.value_as(argument, &class)?;
                let is_vector = matches!(self.inner(argument), TypeInner::Vector { .. });
                Ok(if is_vector { value.method(name, "") } else { value })
            }
            Expression::Math { fun, arg, arg1, arg2, arg3 } => {
                let arguments: Vec<Handle<Expression>> = [Some(arg), arg1, arg2, arg3].into_iter().flatten().collect();
                self.math(handle, fun, &arguments, class)
            }
            Expression::As { expr, kind, convert: bytes } => self.cast(handle, expr, kind, bytes, class),
            Expression::ArrayLength(pointer) => self.array_length(pointer),
            ref other => {
                let construct = match other {
                    Expression::AtomicResult { .. } => "an atomic operation",
                    Expression::SubgroupBallotResult | Expression::SubgroupOperationResult { .. } => {
                        "a subgroup operation"
                    }
                    Expression::Derivative { .. } => "a derivative",
                    Expression::ImageSample { .. } | Expression::ImageLoad { .. } | Expression::ImageQuery { .. } => {
                        "a texture"
                    }
                    _ => "this expression",
                };
                self.unsupported(handle, construct)
            }
        }
    }

    /// A vector of components.
    fn assemble(
        &self,
        size: naga::VectorSize,
        class: &Class,
        scalar: &TypeInner,
        components: impl Iterator<Item = Value>,
    ) -> String {
        let components = components.enumerate();
        if let Class::Mixed(parts) = class {
            let parts = components.map(|(index, value)| convert(value, scalar, &parts[index]).text);
            return format!("({})", parts.collect::<Vec<_>>().join(", "));
        }
        let texts: Vec<String> = components.map(|(_, value)| convert(value, scalar, class).text).collect();
        if texts.iter().all(|text| *text == texts[0]) {
            return format!("{}::splat({})", vector(size), texts[0]);
        }
        let fields = texts
            .iter()
            .zip(COMPONENTS)
            .map(|(text, name)| if text == name { text.clone() } else { format!("{name}: {text}") });
        format!("{} {{ {} }}", vector(size), fields.collect::<Vec<_>>().join(", "))
    }

    fn compose(
        &mut self,
        handle: Handle<Expression>,
        ty: Handle<naga::Type>,
        components: &[Handle<Expression>],
        class: Class,
    ) -> Result<Value> {
        let module = &self.translation.shader.module;
        match module.types[ty].inner {
            TypeInner::Vector { size, scalar } => {
                let mut parts = Vec::with_capacity(size as usize);
                for &found in components {
                    let value = self.value(found)?;
                    match *self.inner(found) {
                        TypeInner::Vector { size, .. } => {
                            parts.extend((0..size as usize).map(|index| component(&value, index)));
                        }
                        _ => parts.push(value),
                    }
                }
                let text = self.assemble(size, &class, &TypeInner::Scalar(scalar), parts.into_iter());
                Ok(Value::whole(text, class))
            }
            TypeInner::Matrix { .. } | TypeInner::Array { .. } => {
                let elements = self.values_as(components, &class)?;
                Ok(Value::whole(format!("[{}]", elements.join(", ")), class))
            }
            ref inner @ TypeInner::Struct { .. } => {
                let values = self.values_as(components, &class)?;
                Ok(Value::whole(struct_value(module, inner, &class, values), class))
            }
            _ => self.unsupported(handle, "a value of this type"),
        }
    }

    /// An element at an index that is computed.
    fn access(
        &mut self,
        handle: Handle<Expression>,
        base: Handle<Expression>,
        index: Handle<Expression>,
        class: Class,
    ) -> Result<Value> {
        if super::is_pointer(self.translation.shader, self.info, handle) {
            return self.unsupported(handle, "a pointer as a value");
        }
        let items = self.value_as(base, &class)?;
        let is_array = !matches!(self.inner(base), TypeInner::Vector { .. });
        let at = self.index(index)?;
        Ok(element(&items, is_array, &at).with_class(class))
    }

    /// An index as `u32` or lanes of it.
    pub(super) fn index(&mut self, index: Handle<Expression>) -> Result<Value> {
        let value = self.value(index)?;
        let value = if value.class == Class::Clamped {
            value
        } else {
            convert(value, self.inner(index), &self.class(index).stored())
        };
        let signed = matches!(self.inner(index), TypeInner::Scalar(scalar) if scalar.kind == ScalarKind::Sint);
        Ok(match (&value.class, signed) {
            (_, false) => value,
            (Class::Varying, true) => value.method("as_u32", ""),
            (_, true) => {
                let class = value.class.clone();
                Value::ranked(format!("{} as u32", value.within(Rank::Unary)), class, Rank::Unary)
            }
        })
    }

    fn access_index(
        &mut self,
        handle: Handle<Expression>,
        base: Handle<Expression>,
        index: u32,
        class: Class,
    ) -> Result<Value> {
        let value = self.value(base)?;
        Ok(match *self.inner(base) {
            TypeInner::Vector { .. } => component(&value, index as usize),
            TypeInner::Matrix { .. } | TypeInner::Array { .. } => {
                Value::whole(format!("{}[{index}]", value.within(Rank::Whole)), class)
            }
            TypeInner::Struct { ref members, .. } => {
                let name = ident(members[index as usize].name.as_deref().unwrap_or_default());
                Value::whole(format!("{}.{name}", value.within(Rank::Whole)), class)
            }
            _ => return self.unsupported(handle, "an element of this type"),
        })
    }

    fn unary(&mut self, op: UnaryOperator, operand: Handle<Expression>, class: Class) -> Result<Value> {
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

    fn binary(
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
        // `first + lane` and what is made of it: only the first is computed with.
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

    /// Whether an integer can be divided by this one whatever it is.
    fn divides_safely(&self, divisor: Handle<Expression>) -> bool {
        match self.function.expressions[divisor] {
            Expression::Literal(Literal::U32(value)) => value != 0,
            Expression::Literal(Literal::I32(value)) => value != 0 && value != -1,
            _ => false,
        }
    }

    fn matrix(
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

    fn select(
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

    /// `select(0, memory[i], condition)`: the address is chosen, not the value, so that all of a load's uses can take it
    /// from memory.
    fn load_or_zero(
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

    fn cast(
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
        // Between integers, of a scalar or of the first of neighbours, Rust's own conversion is the clearest.
        let integers = matches!(kind, ScalarKind::Uint | ScalarKind::Sint)
            && matches!(self.inner(from), TypeInner::Scalar(scalar)
                if matches!(scalar.kind, ScalarKind::Uint | ScalarKind::Sint));
        let plain = integers || (convert.is_some() && kind != ScalarKind::Bool && self.is_number(from));
        if plain && matches!(class, Class::Uniform | Class::Linear) {
            return Ok(Value::ranked(format!("{} as {rust}", value.within(Rank::Unary)), class, Rank::Unary));
        }
        Ok(value.method(if convert.is_some() { to } else { bits }, "").with_class(class))
    }

    fn is_number(&self, expression: Handle<Expression>) -> bool {
        matches!(self.inner(expression), TypeInner::Scalar(scalar) if scalar.kind != ScalarKind::Bool)
    }
}

/// An element of an array or vector at an index that is computed; beyond the last, the last.
pub(super) fn element(items: &Value, is_array: bool, at: &Value) -> Value {
    if at.class == Class::Uniform {
        if !is_array {
            return items.method("get", &at.text);
        }
        let text = format!("wgsl::element(&{}, {})", items.within(Rank::Unary), at.text);
        return Value::whole(text, items.class.clone());
    }
    let index = convert(at.clone(), &TypeInner::Scalar(naga::Scalar::U32), &Class::Varying).text;
    let items = if is_array { items.within(Rank::Unary) } else { items.method("to_array", "").text };
    Value::whole(format!("wgsl::pick({index}, &{items})"), Class::Varying)
}
