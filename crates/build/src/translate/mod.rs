//! What a translation of a shader to Rust must know first: which values are the same for neighbouring invocations.

mod scopes;
mod uniformity;
mod variants;

use naga::{Binding, Block, BuiltIn, Expression, FunctionArgument, Handle, Statement, TypeInner};

use crate::Shader;

use uniformity::Class;

/// A construct that has no translation.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "what is not translated yet reports itself with these")]
pub(crate) struct Unsupported {
    /// Where it stands.
    pub(crate) span: naga::Span,
    /// Its name.
    pub(crate) construct: &'static str,
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

/// How an entry point's argument differs between lanes, which run along local x.
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
