//! Expressions as Rust.

use naga::{Expression, Handle, RelationalFunction, ScalarKind, TypeInner};

use super::Unsupported;
use super::function::Body;
use super::types::{COMPONENTS, component, component_type, convert, literal, named_once, struct_value, vector, zero};
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

    /// The value as text: its name, or its expression.
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

    /// The expression as text.
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
        if let Class::Mixed(parts) = class {
            let parts = components.zip(parts).map(|(value, part)| convert(value, scalar, part).text);
            return format!("({})", parts.collect::<Vec<_>>().join(", "));
        }
        let texts: Vec<String> = components.map(|value| convert(value, scalar, class).text).collect();
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

    /// An element at a dynamic index.
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
}

/// An element of an array or vector at a dynamic index, clamped to the last.
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
