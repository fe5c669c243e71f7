//! The layout of uniform buffers' structs, as `#[repr(C)]`.

use naga::{ArraySize, Handle, Module, Scalar, ScalarKind, Type, TypeInner, VectorSize};

use crate::source::Source;
use crate::{Diagnostic, comments};

/// A struct of a uniform buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Struct {
    /// Its name in the shader and in Rust.
    pub name: String,
    /// Its size in bytes, including trailing padding.
    pub bytes: u32,
    /// Its members by ascending offset.
    pub members: Vec<Member>,
    /// The file in `lib/` that declares it, by stem; `None` for the shader itself.
    pub library: Option<String>,
}

/// A member of a [`Struct`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name in the shader and in Rust.
    pub name: String,
    /// Where it starts, in bytes.
    pub offset: u32,
    /// Its size in bytes.
    pub bytes: u32,
    /// Its type in Rust; a vector is an array.
    pub rust: String,
    /// Its type in WGSL.
    pub wgsl: String,
    /// Its trailing comment in the shader.
    pub comment: Option<String>,
}

/// The layout of `handle`, or a diagnostic if it is not a struct that Rust can lay out identically.
pub(crate) fn struct_layout(
    module: &Module,
    handle: Handle<Type>,
    variable: &str,
    at: naga::Span,
    source: &Source,
) -> Result<Struct, Diagnostic> {
    let ty = &module.types[handle];
    let (Some(name), TypeInner::Struct { members, span }) = (&ty.name, &ty.inner) else {
        let message = format!("`{variable}` is a uniform buffer, but not a struct");
        let label = source.label(at.to_range().unwrap_or_default(), "expected `var<uniform> NAME: STRUCT`");
        return Err(Diagnostic::new(message, label));
    };
    let declaration = module.types.get_span(handle).to_range().unwrap_or_default();
    let members = members.iter().map(|member| {
        let member_name = member.name.clone().unwrap_or_default();
        let at = comments::member(source.text(), declaration.clone(), &member_name).unwrap_or(declaration.clone());
        let inner = &module.types[member.ty].inner;
        let Some((wgsl, rust)) = names(module, inner) else {
            let message =
                format!("the member `{member_name}` of `{name}` has a type that Rust cannot lay out identically");
            let label = source
                .label(at, "expected a scalar, a vector, a matrix of 2 or 4 rows, or an array of at most 32 of these");
            return Err(Diagnostic::new(message, label));
        };
        let comment = comments::behind_member(source.text(), at);
        let bytes = inner.size(module.to_ctx());
        Ok(Member { name: member_name, offset: member.offset, bytes, rust, wgsl, comment })
    });
    let members = members.collect::<Result<_, _>>()?;
    let library = source.library(declaration.start).map(str::to_owned);
    Ok(Struct { name: name.clone(), bytes: *span, members, library })
}

/// The type in WGSL and in Rust, if the second has the same size and no padding.
fn names(module: &Module, inner: &TypeInner) -> Option<(String, String)> {
    match *inner {
        TypeInner::Scalar(scalar) => scalar_name(scalar).map(|name| (name.to_owned(), name.to_owned())),
        TypeInner::Vector { size, scalar } => {
            let name = scalar_name(scalar)?;
            let size = size as u32;
            Some((format!("vec{size}<{name}>"), format!("[{name}; {size}]")))
        }
        TypeInner::Matrix { columns, rows, scalar } if rows != VectorSize::Tri => {
            let name = scalar_name(scalar)?;
            let (columns, rows) = (columns as u32, rows as u32);
            Some((format!("mat{columns}x{rows}<{name}>"), format!("[[{name}; {rows}]; {columns}]")))
        }
        TypeInner::Array { base, size: ArraySize::Constant(count), stride } if count.get() <= 32 => {
            let inner = &module.types[base].inner;
            let (wgsl, rust) = names(module, inner)?;
            let tight = inner.size(module.to_ctx()) == stride;
            tight.then(|| (format!("array<{wgsl}, {count}>"), format!("[{rust}; {count}]")))
        }
        _ => None,
    }
}

/// The name of a host-shareable scalar, the same in both languages.
fn scalar_name(scalar: Scalar) -> Option<&'static str> {
    match (scalar.kind, scalar.width) {
        (ScalarKind::Float, 4) => Some("f32"),
        (ScalarKind::Uint, 4) => Some("u32"),
        (ScalarKind::Sint, 4) => Some("i32"),
        _ => None,
    }
}
