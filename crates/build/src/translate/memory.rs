//! Loads from and stores to the memory of bindings and of the workgroup.

use naga::{ArraySize, Expression, Handle, Scalar, ScalarKind, TypeInner};

use super::expression::Result;
use super::function::Body;
use super::place::{Place, U32, part, plus};
use super::types::{convert, rust_type, struct_value};
use super::uniformity::Class;
use super::value::{Rank, Value};

impl<'a> Body<'a, '_> {
    pub(super) fn load_memory(
        &mut self,
        pointer: Handle<Expression>,
        storage: &str,
        inner: &TypeInner,
        word: Value,
    ) -> Result<Value> {
        let module = &self.translation.shader.module;
        let mask = self.mask();
        match *inner {
            TypeInner::Scalar(Scalar { kind: ScalarKind::Bool, .. }) => self.unsupported(pointer, "a bool in memory"),
            TypeInner::Scalar(_) | TypeInner::Vector { .. } => {
                let Some(ty) = rust_type(module, inner, &Class::Uniform) else {
                    return self.unsupported(pointer, "memory of this type");
                };
                let is_scalar = matches!(inner, TypeInner::Scalar(_));
                let text = match (&word.class, is_scalar, mask) {
                    (Class::Uniform, ..) => {
                        return Ok(Value::uniform(format!("{storage}.load::<{ty}>({})", word.text)));
                    }
                    (Class::Linear, true, None) => format!("{storage}.lanes::<{ty}, S>(simd, {})", word.text),
                    (Class::Linear, true, Some(mask)) => {
                        format!("{storage}.lanes_where::<{ty}, S>(simd, {mask}, {})", word.text)
                    }
                    (Class::Clamped, true, _) => format!("{storage}.clamped::<{ty}, S>(simd, {})", word.text),
                    (_, _, mask) => {
                        let words = convert(word, &U32, &Class::Varying);
                        match mask {
                            None => format!("{storage}.gather::<{ty}, S>(simd, {})", words.text),
                            Some(mask) => format!("{storage}.gather_where::<{ty}, S>(simd, {mask}, {})", words.text),
                        }
                    }
                };
                Ok(Value::whole(text, Class::Varying))
            }
            TypeInner::Matrix { columns, rows, scalar } => {
                let column = TypeInner::Vector { size: rows, scalar };
                let items = (0..columns as u32).map(|index| (column.clone(), index)).collect();
                let items = self.load_parts(pointer, storage, inner, word, items)?;
                Ok(Value::whole(format!("[{}]", join(&items)), class_of(&items)))
            }
            TypeInner::Array { base, size: ArraySize::Constant(size), .. } => {
                if size.get() > 64 {
                    return self.unsupported(pointer, "loading an array of more than 64 elements at once");
                }
                let items = (0..size.get()).map(|index| (module.types[base].inner.clone(), index)).collect();
                let items = self.load_parts(pointer, storage, inner, word, items)?;
                Ok(Value::whole(format!("[{}]", join(&items)), class_of(&items)))
            }
            TypeInner::Struct { ref members, .. } => {
                let parts = members.iter().zip(0u32..);
                let parts = parts.map(|(member, index)| (module.types[member.ty].inner.clone(), index)).collect();
                let values = self.load_parts(pointer, storage, inner, word, parts)?;
                let class = class_of(&values);
                let values = values.into_iter().map(|value| value.text).collect();
                Ok(Value::whole(struct_value(module, inner, &class, values), class))
            }
            TypeInner::Atomic(_) => self.unsupported(pointer, "an atomic variable"),
            _ => self.unsupported(pointer, "memory of this type"),
        }
    }

    pub(super) fn load_parts(
        &mut self,
        pointer: Handle<Expression>,
        storage: &str,
        outer: &TypeInner,
        word: Value,
        parts: Vec<(TypeInner, u32)>,
    ) -> Result<Vec<Value>> {
        let mut values = Vec::with_capacity(parts.len());
        for (inner, index) in &parts {
            let Some(offset) = self.offset(outer, *index) else {
                return self.unsupported(pointer, "memory of this type");
            };
            let word = plus(word.clone(), Value::uniform(format!("{offset}u32")));
            values.push(self.load_memory(pointer, storage, inner, word)?);
        }
        // Parts at one address differ between lanes together or not at all.
        Ok(values)
    }

    /// `select(0, *pointer, test)`, where the address is the same for all lanes.
    pub(super) fn load_if(&mut self, test: &str, pointer: Handle<Expression>) -> Result<Option<Value>> {
        let inner = self.pointee(pointer);
        let Place::Memory { storage, word } = self.place(pointer)? else { return Ok(None) };
        let ty = rust_type(&self.translation.shader.module, &inner, &Class::Uniform);
        let (Class::Uniform, Some(ty), TypeInner::Scalar(_) | TypeInner::Vector { .. }) = (&word.class, ty, &inner)
        else {
            return Ok(None);
        };
        Ok(Some(Value::uniform(format!("{storage}.load_if::<{ty}>({test}, || {})", word.text))))
    }

    pub(super) fn store_memory(
        &mut self,
        pointer: Handle<Expression>,
        storage: &str,
        inner: &TypeInner,
        word: Value,
        value: Value,
    ) -> Result<()> {
        let module = &self.translation.shader.module;
        match *inner {
            TypeInner::Scalar(Scalar { kind: ScalarKind::Bool, .. }) => self.unsupported(pointer, "a bool in memory"),
            TypeInner::Scalar(_) | TypeInner::Vector { .. } => {
                let Some(ty) = rust_type(module, inner, &Class::Uniform) else {
                    return self.unsupported(pointer, "memory of this type");
                };
                if word.class == Class::Uniform && value.class == Class::Uniform {
                    self.line(&format!("{storage}.store::<{ty}>({}, {});", word.text, value.text));
                    return Ok(());
                }
                let value = convert(value, inner, &Class::Varying).text;
                let mask = self.mask();
                if word.class == Class::Linear && matches!(inner, TypeInner::Scalar(_)) {
                    match mask {
                        None => self.line(&format!("{storage}.set_lanes::<{ty}, S>({}, {value});", word.text)),
                        Some(mask) => {
                            let word = word.text;
                            self.line(&format!("{storage}.set_lanes_where::<{ty}, S>({mask}, {word}, {value});"));
                        }
                    }
                    return Ok(());
                }
                let words = convert(word, &U32, &Class::Varying).text;
                match mask {
                    None => self.line(&format!("{storage}.scatter::<{ty}, S>({words}, {value});")),
                    Some(mask) => self.line(&format!("{storage}.scatter_where::<{ty}, S>({mask}, {words}, {value});")),
                }
                Ok(())
            }
            TypeInner::Matrix { .. }
            | TypeInner::Array { size: ArraySize::Constant(_), .. }
            | TypeInner::Struct { .. } => {
                let count = match *inner {
                    TypeInner::Matrix { columns, .. } => columns as u32,
                    TypeInner::Array { size: ArraySize::Constant(size), .. } => size.get(),
                    TypeInner::Struct { ref members, .. } => members.len() as u32,
                    _ => 0,
                };
                let name = self.names.unique("whole");
                self.line(&format!("let {name} = {};", value.text));
                let whole = Value::whole(name, value.class);
                for index in 0..count {
                    let of = match *inner {
                        TypeInner::Matrix { rows, scalar, .. } => TypeInner::Vector { size: rows, scalar },
                        TypeInner::Array { base, .. } => module.types[base].inner.clone(),
                        TypeInner::Struct { ref members, .. } => module.types[members[index as usize].ty].inner.clone(),
                        _ => continue,
                    };
                    let offset = self.offset(inner, index).unwrap_or(0);
                    let word = plus(word.clone(), Value::uniform(format!("{offset}u32")));
                    self.store_memory(pointer, storage, &of, word, part(&whole, inner, index))?;
                }
                Ok(())
            }
            TypeInner::Atomic(_) => self.unsupported(pointer, "an atomic variable"),
            _ => self.unsupported(pointer, "memory of this type"),
        }
    }

    pub(super) fn array_length(&mut self, pointer: Handle<Expression>) -> Result<Value> {
        let outer = self.pointee(pointer);
        let stride = self.offset(&outer, 1).unwrap_or(1);
        match self.place(pointer)? {
            Place::Memory { storage, word } => {
                let words = Value::uniform(format!("{storage}.words()"));
                let words = if word.text == "0u32" { words } else { words.method("saturating_sub", &word.text) };
                if stride == 1 {
                    return Ok(words);
                }
                Ok(Value::ranked(format!("{} / {stride}", words.text), Class::Uniform, Rank::Product))
            }
            _ => self.unsupported(pointer, "the length of this array"),
        }
    }
}

fn join(values: &[Value]) -> String {
    values.iter().map(|value| value.text.as_str()).collect::<Vec<_>>().join(", ")
}

fn class_of(values: &[Value]) -> Class {
    values.first().map_or(Class::Uniform, |value| value.class.clone())
}
