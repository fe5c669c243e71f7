//! Translates WGSL to Rust: neighbouring invocations become the lanes of a vector.
//!
//! ```text
//! Function --scopes--> blocks as a tree --uniformity--> what differs between lanes --function--> Rust
//! ```
//!
//! Uniform values stay scalars and uniform branches stay branches; varying values become vectors, and varying control
//! flow becomes a mask of the active lanes. A function is translated once per combination of its arguments' classes
//! ([`variants`]). The output calls `kiln-simd`.

mod barrier;
mod call;
mod control;
mod entry;
mod expression;
mod function;
mod logic;
mod mask;
mod math;
mod memory;
mod names;
mod operators;
mod place;
mod scopes;
mod statement;
mod translation;
mod types;
mod uniformity;
mod value;
mod variable;
mod variants;

use naga::{Binding, Block, BuiltIn, Expression, FunctionArgument, Handle, Statement, TypeInner};

use crate::reflect::EntryPoint;
use crate::{Diagnostic, Shader};

use uniformity::Class;

/// The largest number of lanes of a vector on any processor.
pub(crate) const MOST_LANES: u32 = 16;

/// A construct that has no translation.
#[derive(Clone, Debug)]
pub(crate) struct Unsupported {
    /// Its place.
    pub(crate) span: naga::Span,
    /// Its name.
    pub(crate) construct: String,
}

impl Unsupported {
    fn new(span: naga::Span, construct: impl Into<String>) -> Unsupported {
        Unsupported { span, construct: construct.into() }
    }
}

/// The shader's module `native` with the entry points that are `wanted`, which uses the path `simd` of kiln-simd.
pub(crate) fn translate(
    shader: &Shader,
    simd: &str,
    wanted: &dyn Fn(&EntryPoint) -> bool,
) -> Result<String, Diagnostic> {
    entry::module(shader, simd, wanted).map_err(|unsupported| {
        let at = unsupported.span.to_range().unwrap_or_default();
        let message = format!("{} cannot be translated to native code", unsupported.construct);
        Diagnostic::new(message, shader.source.label(at, "not supported"))
    })
}

/// The blocks within a statement.
fn blocks(statement: &Statement) -> impl Iterator<Item = &Block> {
    let blocks: Vec<&Block> = match statement {
        Statement::Block(block) => vec![block],
        Statement::If { accept, reject, .. } => vec![accept, reject],
        Statement::Switch { cases, .. } => cases.iter().map(|case| &case.body).collect(),
        Statement::Loop { body, continuing, .. } => vec![body, continuing],
        _ => Vec::new(),
    };
    blocks.into_iter()
}

fn is_pointer(shader: &Shader, info: &naga::valid::FunctionInfo, expression: Handle<Expression>) -> bool {
    let inner = info[expression].ty.inner_with(&shader.module.types);
    matches!(inner, TypeInner::Pointer { .. } | TypeInner::ValuePointer { .. })
}

/// The class of an entry point's argument: lanes run along local x.
fn builtin_class(argument: &FunctionArgument) -> Class {
    match argument.binding {
        Some(Binding::BuiltIn(BuiltIn::LocalInvocationIndex)) => Class::Linear,
        Some(Binding::BuiltIn(BuiltIn::LocalInvocationId | BuiltIn::GlobalInvocationId)) => {
            Class::Mixed(vec![Class::Linear, Class::Uniform, Class::Uniform])
        }
        _ => Class::Uniform,
    }
}

#[cfg(test)]
mod tests;
