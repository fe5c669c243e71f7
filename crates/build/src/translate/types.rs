//! WGSL's types as Rust's, and conversions between scalars and lanes.

use naga::{ArraySize, Module, Scalar, ScalarKind, StructMember, TypeInner, VectorSize};

use super::uniformity::Class;
use super::value::{Rank, Value};
use crate::names::ident;

/// The form of a scalar in a Rust type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `f32`.
    Scalar,
    /// `F32<S>`.
    Lanes,
    /// `K::F32`, in a struct's definition.
    Member,
}

/// The Rust type of a value, or `None` if there is none.
pub(super) fn rust_type(module: &Module, inner: &TypeInner, class: &Class) -> Option<String> {
    match (class, inner) {
        (Class::Clamped, _) => Some("Clamped".to_owned()),
        (Class::Mixed(parts), TypeInner::Vector { scalar, .. }) => {
            let parts: Option<Vec<String>> =
                parts.iter().map(|part| rust_type(module, &TypeInner::Scalar(*scalar), part)).collect();
            Some(format!("({})", parts?.join(", ")))
        }
        (Class::Varying, _) => of(module, inner, Form::Lanes),
        _ => of(module, inner, Form::Scalar),
    }
}

/// The Rust type of a struct's member, generic over its kind `K`.
pub(super) fn member_type(module: &Module, member: &StructMember) -> Option<String> {
    of(module, &module.types[member.ty].inner, Form::Member)
}

fn of(module: &Module, inner: &TypeInner, form: Form) -> Option<String> {
    match *inner {
        TypeInner::Scalar(found) => scalar(found, form),
        TypeInner::Vector { size, scalar: found } => Some(format!("{}<{}>", vector(size), scalar(found, form)?)),
        TypeInner::Matrix { columns, rows, scalar: found } => {
            Some(format!("[{}<{}>; {}]", vector(rows), scalar(found, form)?, columns as u8))
        }
        TypeInner::Array { base, size: ArraySize::Constant(size), .. } => {
            Some(format!("[{}; {size}]", of(module, &module.types[base].inner, form)?))
        }
        TypeInner::Struct { .. } => {
            let kind = match form {
                Form::Scalar => "Scalars",
                Form::Lanes => "Lanes<S>",
                Form::Member => "K",
            };
            Some(format!("{}<{kind}>", struct_name(module, inner)))
        }
        _ => None,
    }
}

fn scalar(scalar: Scalar, form: Form) -> Option<String> {
    let (rust, lanes) = match scalar {
        Scalar { kind: ScalarKind::Float, width: 4 } => ("f32", "F32"),
        Scalar { kind: ScalarKind::Uint, width: 4 } => ("u32", "U32"),
        Scalar { kind: ScalarKind::Sint, width: 4 } => ("i32", "I32"),
        Scalar { kind: ScalarKind::Bool, .. } => ("bool", "Bool"),
        _ => return None,
    };
    Some(match form {
        Form::Scalar => rust.to_owned(),
        Form::Lanes => format!("{lanes}<S>"),
        Form::Member => format!("K::{lanes}"),
    })
}

pub(super) fn vector(size: VectorSize) -> &'static str {
    match size {
        VectorSize::Bi => "Vec2",
        VectorSize::Tri => "Vec3",
        VectorSize::Quad => "Vec4",
    }
}

pub(super) const COMPONENTS: [&str; 4] = ["x", "y", "z", "w"];

/// The Rust name of a struct. Structs with equal members are one type, as in naga. Names that translated code uses get
/// a `_`.
pub(super) fn struct_name(module: &Module, inner: &TypeInner) -> String {
    const TAKEN: &[&str] = &[
        "f32",
        "u32",
        "i32",
        "bool",
        "F32",
        "U32",
        "I32",
        "Bool",
        "Vec2",
        "Vec3",
        "Vec4",
        "Clamped",
        "Storage",
        "Uniform",
        "Simd",
        "Kind",
        "Scalars",
        "Lanes",
        "ToLanes",
        "Blend",
        "Compare",
        "Convert",
        "Bits",
        "Shader",
        "Dispatch",
        "Fault",
        "Override",
        "Order",
        "Workgroup",
        "Invocations",
        "Some",
        "None",
        "Clone",
        "Copy",
        "Debug",
        "S",
        "K",
        "CHECKED",
        "OVERRIDES",
    ];
    let found = module.types.iter().find(|(_, ty)| ty.inner == *inner);
    let name = found.and_then(|(_, ty)| ty.name.as_deref()).unwrap_or("Unnamed");
    if TAKEN.contains(&name) { format!("{name}_") } else { ident(name) }
}

/// A struct of these members.
pub(super) fn struct_value(module: &Module, inner: &TypeInner, class: &Class, values: Vec<String>) -> String {
    let TypeInner::Struct { ref members, .. } = *inner else { return String::new() };
    let kind = if *class == Class::Uniform { "Scalars" } else { "Lanes<S>" };
    let name = |member: &StructMember| ident(member.name.as_deref().unwrap_or_default());
    let fields = members.iter().zip(values).map(|(member, value)| format!("{}: {value}", name(member)));
    format!("{}::<{kind}> {{ {} }}", struct_name(module, inner), fields.collect::<Vec<_>>().join(", "))
}

/// A literal of the scalar type.
pub(super) fn literal(literal: naga::Literal) -> Option<Value> {
    let (text, negative) = match literal {
        naga::Literal::F32(value) => (format!("{value:?}f32"), value.is_sign_negative()),
        naga::Literal::U32(value) => (format!("{value}u32"), false),
        naga::Literal::I32(i32::MIN) => return Some(Value::uniform("i32::MIN")),
        naga::Literal::I32(value) => (format!("{value}i32"), value < 0),
        naga::Literal::Bool(value) => (value.to_string(), false),
        _ => return None,
    };
    Some(Value::ranked(text, Class::Uniform, if negative { Rank::Unary } else { Rank::Whole }))
}

/// The zero value of a type.
pub(super) fn zero(module: &Module, inner: &TypeInner) -> Option<String> {
    Some(match *inner {
        TypeInner::Scalar(scalar) => literal(naga::Literal::zero(scalar)?)?.text,
        TypeInner::Vector { size, scalar } => {
            format!("{}::splat({})", vector(size), literal(naga::Literal::zero(scalar)?)?.text)
        }
        TypeInner::Matrix { columns, rows, scalar } => {
            format!("[{}; {}]", zero(module, &TypeInner::Vector { size: rows, scalar })?, columns as u8)
        }
        TypeInner::Array { base, size: ArraySize::Constant(size), .. } => {
            format!("[{}; {size}]", zero(module, &module.types[base].inner)?)
        }
        TypeInner::Struct { ref members, .. } => {
            let values: Option<Vec<String>> =
                members.iter().map(|member| zero(module, &module.types[member.ty].inner)).collect();
            struct_value(module, inner, &Class::Uniform, values?)
        }
        _ => return None,
    })
}

/// The value in the form that `class` has.
pub(super) fn convert(value: Value, inner: &TypeInner, class: &Class) -> Value {
    let from = if value.class == Class::Unknown { Class::Uniform } else { value.class.clone() };
    let class = if *class == Class::Unknown { &Class::Uniform } else { class };
    if from == *class {
        return value.with_class(from);
    }
    let to_mixed = |value: &Value, parts: &[Class]| {
        let scalar = component_type(inner);
        let part = |(index, part): (usize, &Class)| convert(component(value, index), &scalar, part).text;
        let parts: Vec<String> = parts.iter().enumerate().map(part).collect();
        format!("({})", parts.join(", "))
    };
    match (&from, class) {
        (Class::Uniform | Class::Clamped, Class::Varying) => value.method("lanes", "simd").with_class(Class::Varying),
        (Class::Linear, Class::Varying) => match *inner {
            TypeInner::Scalar(Scalar { kind: ScalarKind::Sint, .. }) => {
                let base = value.within(Rank::Unary);
                Value::whole(format!("wgsl::linear(simd, {base} as u32).as_i32()"), Class::Varying)
            }
            _ => Value::whole(format!("wgsl::linear(simd, {})", value.text), Class::Varying),
        },
        (Class::Mixed(_), Class::Varying) => {
            let name = match *inner {
                TypeInner::Vector { size, .. } => vector(size),
                _ => "Vec4",
            };
            let scalar = component_type(inner);
            named_once(value, |value| {
                let count = if let Class::Mixed(parts) = &value.class { parts.len() } else { 0 };
                let fields = (0..count).map(|index| {
                    format!("{}: {}", COMPONENTS[index], convert(component(value, index), &scalar, class).text)
                });
                format!("{name} {{ {} }}", fields.collect::<Vec<_>>().join(", "))
            })
            .with_class(Class::Varying)
        }
        (_, Class::Mixed(parts)) => named_once(value, |value| to_mixed(value, parts)).with_class(class.clone()),
        // The analysis never asks for a narrower class.
        _ => value.with_class(class.clone()),
    }
}

/// `body` of a named value, so that the value is computed once.
pub(super) fn named_once(value: Value, body: impl FnOnce(&Value) -> String) -> Value {
    if value.is_name() {
        let text = body(&value);
        return Value::whole(text, value.class);
    }
    let named = Value::whole("v", value.class.clone());
    Value::ranked(format!("{{ let v = {}; {} }}", value.text, body(&named)), value.class, Rank::Block)
}

/// One component of a vector.
pub(super) fn component(vector: &Value, index: usize) -> Value {
    match &vector.class {
        Class::Mixed(parts) => {
            let class = parts.get(index).cloned().unwrap_or(Class::Varying);
            Value::whole(format!("{}.{index}", vector.within(Rank::Whole)), class)
        }
        class => Value::whole(format!("{}.{}", vector.within(Rank::Whole), COMPONENTS[index.min(3)]), class.clone()),
    }
}

/// The type of a vector's components; of anything else, itself.
pub(super) fn component_type(inner: &TypeInner) -> TypeInner {
    match *inner {
        TypeInner::Vector { scalar, .. } => TypeInner::Scalar(scalar),
        ref other => other.clone(),
    }
}
