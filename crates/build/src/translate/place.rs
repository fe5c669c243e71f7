//! Pointees: memory of a binding or the workgroup, or a variable of the function.

use naga::{AddressSpace, BinaryOperator, Expression, Handle, Scalar, ScalarKind, TypeInner};

use super::expression::{Result, element};
use super::function::Body;
use super::scopes::{Variable, variable};
use super::types::{COMPONENTS, convert};
use super::uniformity::Class;
use super::value::{Rank, Value};
use crate::names::ident;

pub(super) const U32: TypeInner = TypeInner::Scalar(Scalar::U32);

/// A pointee.
pub(super) enum Place {
    /// Memory that is addressed in 32-bit words.
    Memory { storage: String, word: Value },
    /// A variable or a part of one, as text that can be assigned to.
    Variable(Value),
    /// A part of a variable or of a uniform buffer, reached by a dynamic index first.
    Part { root: Box<Place>, path: Vec<Step> },
    /// A uniform buffer or a part of one.
    Constant(Value),
}

/// From a value of this type to a part of it.
pub(super) struct Step {
    outer: TypeInner,
    at: At,
}

enum At {
    Fixed(u32),
    Index(Value),
}

impl<'a> Body<'a, '_> {
    /// An index into memory. Where the access is unconditional, sums must not wrap around, so that the compiler knows
    /// how addresses advance between iterations.
    fn address(&mut self, storage: &str, index: Handle<Expression>) -> Result<Value> {
        let class = self.class(index);
        let happens = class == Class::Uniform || (class == Class::Linear && self.mask().is_none());
        let is_u32 = matches!(self.inner(index), TypeInner::Scalar(Scalar { kind: ScalarKind::Uint, .. }));
        match self.function.expressions[index] {
            Expression::Binary { op: BinaryOperator::Add, left, right }
                if happens && is_u32 && !self.bound.contains_key(&index) =>
            {
                let (left, right) = (self.address(storage, left)?, self.address(storage, right)?);
                Ok(Value::whole(format!("{storage}.sum({}, {})", left.text, right.text), class))
            }
            _ => self.index(index),
        }
    }

    /// The type of a pointee.
    pub(super) fn pointee(&self, pointer: Handle<Expression>) -> TypeInner {
        match *self.inner(pointer) {
            TypeInner::Pointer { base, .. } => self.translation.shader.module.types[base].inner.clone(),
            TypeInner::ValuePointer { size: Some(size), scalar, .. } => TypeInner::Vector { size, scalar },
            TypeInner::ValuePointer { scalar, .. } => TypeInner::Scalar(scalar),
            ref other => other.clone(),
        }
    }

    pub(super) fn place(&mut self, pointer: Handle<Expression>) -> Result<Place> {
        let module = &self.translation.shader.module;
        match self.function.expressions[pointer] {
            Expression::GlobalVariable(global) => {
                let variable = &module.global_variables[global];
                let name = ident(variable.name.as_deref().unwrap_or_default());
                match variable.space {
                    AddressSpace::Storage { .. } | AddressSpace::WorkGroup => {
                        Ok(Place::Memory { storage: format!("shader.{name}"), word: Value::uniform("0u32") })
                    }
                    AddressSpace::Uniform => Ok(Place::Constant(Value::uniform(format!("shader.{name}")))),
                    _ => self.unsupported(pointer, "a private variable"),
                }
            }
            Expression::LocalVariable(local) => {
                let class = self.variable_class(Variable::Local(local));
                Ok(Place::Variable(Value::whole(self.locals[&local].clone(), class)))
            }
            Expression::FunctionArgument(index) => {
                let class = self.variable_class(Variable::Argument(index));
                Ok(Place::Variable(Value::whole(format!("(*{})", self.arguments[index as usize]), class)))
            }
            Expression::AccessIndex { base, index } => {
                let outer = self.pointee(base);
                match self.place(base)? {
                    Place::Memory { storage, word } => {
                        let Some(offset) = self.offset(&outer, index) else {
                            return self.unsupported(pointer, "a pointer into this type");
                        };
                        Ok(Place::Memory { storage, word: plus(word, Value::uniform(format!("{offset}u32"))) })
                    }
                    Place::Variable(value) => Ok(Place::Variable(part(&value, &outer, index))),
                    Place::Constant(value) => Ok(Place::Constant(part(&value, &outer, index))),
                    Place::Part { root, mut path } => {
                        path.push(Step { outer, at: At::Fixed(index) });
                        Ok(Place::Part { root, path })
                    }
                }
            }
            Expression::Access { base, index } => {
                let outer = self.pointee(base);
                let place = self.place(base)?;
                let index = match &place {
                    Place::Memory { storage, .. } => self.address(storage, index)?,
                    _ => self.index(index)?,
                };
                match place {
                    Place::Memory { storage, word } => {
                        let Some(stride) = self.offset(&outer, 1) else {
                            return self.unsupported(pointer, "a pointer into this type");
                        };
                        let offset = match index.class {
                            Class::Uniform if stride > 1 => {
                                Value::uniform(format!("{storage}.product({}, {stride})", index.text))
                            }
                            _ => times(index, stride),
                        };
                        Ok(Place::Memory { storage, word: plus(word, offset) })
                    }
                    Place::Part { root, mut path } => {
                        path.push(Step { outer, at: At::Index(index) });
                        Ok(Place::Part { root, path })
                    }
                    root => {
                        let path = vec![Step { outer, at: At::Index(index) }];
                        Ok(Place::Part { root: Box::new(root), path })
                    }
                }
            }
            _ => self.unsupported(pointer, "a pointer from this expression"),
        }
    }

    fn variable_class(&self, variable: Variable) -> Class {
        match self.classes.variables.get(&variable) {
            None | Some(Class::Unknown) => Class::Uniform,
            Some(class) => class.clone(),
        }
    }

    /// The offset of a part of a value, in words.
    pub(super) fn offset(&self, outer: &TypeInner, index: u32) -> Option<u32> {
        let words = match *outer {
            TypeInner::Vector { .. } => 1,
            TypeInner::Matrix { rows, .. } => {
                if rows as u8 == 2 {
                    2
                } else {
                    4
                }
            }
            TypeInner::Array { stride, .. } => stride / 4,
            TypeInner::Struct { ref members, .. } => {
                return members.get(index as usize).map(|member| member.offset / 4);
            }
            _ => return None,
        };
        Some(words * index)
    }

    /// Loads the pointee.
    pub(super) fn load(&mut self, pointer: Handle<Expression>) -> Result<Value> {
        if let Some(Variable::Local(local)) = variable(self.function, pointer)
            && let Some(fused) = self.fused.get(&local)
        {
            return Ok(fused.clone());
        }
        match self.place(pointer)? {
            Place::Memory { storage, word } => {
                let inner = self.pointee(pointer);
                self.load_memory(pointer, &storage, &inner, word)
            }
            Place::Variable(value) | Place::Constant(value) => Ok(value),
            Place::Part { root, path } => match *root {
                Place::Variable(value) | Place::Constant(value) => Ok(path.iter().fold(value, step_into)),
                _ => self.unsupported(pointer, "a pointer from this expression"),
            },
        }
    }

    /// Stores the value at the pointee.
    pub(super) fn store(&mut self, pointer: Handle<Expression>, value: Handle<Expression>) -> Result<()> {
        let inner = self.pointee(pointer);
        match self.place(pointer)? {
            Place::Memory { storage, word } => {
                let value = self.value(value)?;
                self.store_memory(pointer, &storage, &inner, word, value)
            }
            Place::Variable(place) => {
                let value = convert(self.value(value)?, &inner, &place.class);
                let mask = self.blending(pointer);
                self.assign_to(&place, mask.as_deref(), &value);
                Ok(())
            }
            Place::Part { root, path } => match *root {
                Place::Variable(place) => {
                    let reads = self.reads_variable(value);
                    let mut value = convert(self.value(value)?, &inner, &place.class);
                    if reads {
                        value = self.named("new", value);
                    }
                    // A mutably borrowed variable cannot be read for its own index.
                    let path: Vec<Step> = path.into_iter().map(|step| self.with_named_index(step)).collect();
                    let mask = self.blending(pointer);
                    self.assign_part(&place, &path, mask.as_deref(), &value);
                    Ok(())
                }
                _ => self.unsupported(pointer, "writing a uniform buffer"),
            },
            Place::Constant(_) => self.unsupported(pointer, "writing a uniform buffer"),
        }
    }

    /// The value under a name.
    pub(super) fn named(&mut self, name: &str, value: Value) -> Value {
        let name = self.names.unique(name);
        self.line(&format!("let {name} = {};", value.text));
        Value::whole(name, value.class)
    }

    fn with_named_index(&mut self, step: Step) -> Step {
        match step.at {
            At::Index(index) if index.text.contains('(') => {
                Step { at: At::Index(self.named("index", index)), outer: step.outer }
            }
            _ => step,
        }
    }

    /// Writes a variable, of lanes only where the mask is true.
    fn assign_to(&mut self, place: &Value, mask: Option<&str>, value: &Value) {
        match mask {
            Some(mask) if place.class == Class::Varying => {
                self.line(&format!("{} = {mask}.select({}, {});", place.text, value.text, place.text));
            }
            _ => self.line(&format!("{} = {};", place.text, value.text)),
        }
    }

    /// Writes a part of a variable: copies an element, changes it and writes it back.
    fn assign_part(&mut self, place: &Value, path: &[Step], mask: Option<&str>, value: &Value) {
        let Some((Step { outer, at }, rest)) = path.split_first() else {
            return self.assign_to(place, mask, value);
        };
        let index = match at {
            At::Fixed(index) => return self.assign_part(&part(place, outer, *index), rest, mask, value),
            At::Index(index) => index,
        };
        let mask = mask.filter(|_| place.class == Class::Varying);
        if index.class == Class::Uniform && is_array(outer) {
            return self.assign_part(&element_mut(place, index), rest, mask, value);
        }
        if index.class == Class::Uniform && mask.is_none() {
            return self.line(&format!("*{}.component({}) = {};", place.within(Rank::Whole), index.text, value.text));
        }
        let value = if rest.is_empty() {
            value.text.clone()
        } else {
            let name = self.names.unique("element");
            self.line(&format!("let mut {name} = {};", step_into(place.clone(), &path[0]).text));
            self.assign_part(&Value::whole(name.clone(), Class::Varying), rest, None, value);
            name
        };
        let index = convert(index.clone(), &U32, &Class::Varying).text;
        let mask = mask.unwrap_or("Bool::splat(simd, true)");
        if is_array(outer) {
            self.line(&format!("wgsl::put(&mut {}, {mask}, {index}, {value});", place.within(Rank::Unary)));
        } else {
            let items = place.within(Rank::Whole);
            self.line(&format!("{} = {items}.with({mask}, {index}, {value});", place.text));
        }
    }
}

/// A member, component or element with a fixed number.
pub(super) fn part(value: &Value, outer: &TypeInner, index: u32) -> Value {
    let of = value.within(Rank::Whole);
    let text = match *outer {
        TypeInner::Vector { .. } => format!("{of}.{}", COMPONENTS[(index as usize).min(3)]),
        TypeInner::Struct { ref members, .. } => {
            format!("{of}.{}", ident(members[index as usize].name.as_deref().unwrap_or_default()))
        }
        _ => format!("{of}[{index}]"),
    };
    Value::whole(text, value.class.clone())
}

/// The part of a value that a step leads to.
fn step_into(value: Value, step: &Step) -> Value {
    match &step.at {
        At::Fixed(index) => part(&value, &step.outer, *index),
        At::Index(index) => {
            let class = if index.class == Class::Uniform { value.class.clone() } else { Class::Varying };
            element(&convert(value, &step.outer, &class), is_array(&step.outer), index).with_class(class)
        }
    }
}

/// The part as an assignable place expression, if no index varies between lanes or selects a component.
pub(super) fn assignable(root: &Value, path: &[Step]) -> Option<Value> {
    path.iter().try_fold(root.clone(), |value, step| match &step.at {
        At::Fixed(index) => Some(part(&value, &step.outer, *index)),
        At::Index(index) if index.class == Class::Uniform && is_array(&step.outer) => Some(element_mut(&value, index)),
        At::Index(_) => None,
    })
}

/// Whether it is an array in Rust, as arrays and matrices are; else it is a vector.
fn is_array(inner: &TypeInner) -> bool {
    !matches!(inner, TypeInner::Vector { .. })
}

/// An assignable element of an array.
fn element_mut(items: &Value, index: &Value) -> Value {
    let text = format!("*wgsl::element_mut(&mut {}, {})", items.within(Rank::Unary), index.text);
    Value::ranked(text, items.class.clone(), Rank::Unary)
}

/// The sum of two addresses.
pub(super) fn plus(a: Value, b: Value) -> Value {
    if a.text == "0u32" {
        return b;
    }
    if b.text == "0u32" {
        return a;
    }
    match (&a.class, &b.class) {
        (Class::Uniform | Class::Linear, Class::Uniform) => a.method("wrapping_add", &b.text),
        (Class::Uniform, Class::Linear) => b.method("wrapping_add", &a.text),
        (Class::Clamped, Class::Uniform) => a.operator("+", Rank::Sum, &b, Class::Clamped),
        (Class::Uniform, Class::Clamped) => b.operator("+", Rank::Sum, &a, Class::Clamped),
        _ => {
            let (a, b) = (convert(a, &U32, &Class::Varying), convert(b, &U32, &Class::Varying));
            a.operator("+", Rank::Sum, &b, Class::Varying)
        }
    }
}

/// An index times the words of an element.
pub(super) fn times(index: Value, words: u32) -> Value {
    match (&index.class, words) {
        (_, 1) => index,
        (Class::Uniform, _) => index.method("wrapping_mul", &format!("{words}u32")),
        _ => {
            let index = convert(index, &U32, &Class::Varying);
            let factor = Value::uniform(format!("U32::splat(simd, {words})"));
            index.operator("*", Rank::Product, &factor, Class::Varying)
        }
    }
}
