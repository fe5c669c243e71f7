//! The translation of a function: its state and its signature.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::rc::Rc;

use naga::{Expression, Function, Handle, LocalVariable, Statement};

use super::Unsupported;
use super::expression::Result;
use super::mask::Mask;
use super::names::Names;
use super::scopes::{ExitKind, ScopeId, Scopes, statement_id};
use super::translation::{Instance, Translation};
use super::types::{convert, rust_type, zero};
use super::uniformity::{Class, Classes};
use super::value::Value;

/// An entry point with barriers, which is translated for a whole workgroup.
#[derive(Clone, Debug)]
pub(super) struct Workgroup {
    pub(super) size: [u32; 3],
    /// The statements that declare the arguments of the invocations `at`.
    pub(super) arguments: String,
    /// The range of positions without a barrier that is being translated.
    pub(super) segment: Option<(usize, usize)>,
}

/// The state of a function's translation.
pub(super) struct Body<'a, 't> {
    pub(super) translation: &'t mut Translation<'a>,
    pub(super) function: &'a Function,
    pub(super) info: &'a naga::valid::FunctionInfo,
    pub(super) classes: Rc<Classes>,
    pub(super) scopes: Rc<Scopes>,
    /// The names of the arguments.
    pub(super) arguments: Vec<String>,
    pub(super) locals: HashMap<Handle<LocalVariable>, String>,
    /// The named values.
    pub(super) bound: HashMap<Handle<Expression>, Value>,
    /// The names of values that are declared before they are assigned.
    pub(super) hoisted: HashMap<Handle<Expression>, String>,
    /// `a && b` and `a || b`, which naga lowers to `if`s, by the variable that naga creates for them.
    pub(super) fused: HashMap<Handle<LocalVariable>, Value>,
    pub(super) logic: HashSet<Handle<LocalVariable>>,
    pub(super) declared: HashSet<Handle<LocalVariable>>,
    pub(super) masks: Vec<Mask>,
    /// Whether the function has an argument with the mask of the active lanes.
    pub(super) masked: bool,
    /// Whether lanes leave the function at different times.
    pub(super) masked_returns: bool,
    pub(super) workgroup: Option<Workgroup>,
    pub(super) names: Names,
    pub(super) scope: ScopeId,
    /// The declarations at the start of an entry point with barriers.
    pub(super) prologue: String,
    pub(super) out: String,
}

impl<'a, 't> Body<'a, 't> {
    pub(super) fn new(translation: &'t mut Translation<'a>, instance: &Instance<'a>) -> Body<'a, 't> {
        let Instance { function, info, ref scopes, ref classes, masked, .. } = *instance;
        // A variable must not hide a function.
        let mut names = translation.names.clone();
        let name_of =
            |argument: &naga::FunctionArgument| argument.name.clone().unwrap_or_else(|| "argument".to_owned());
        let arguments = function.arguments.iter().map(|argument| names.unique(&name_of(argument))).collect();
        let locals = function.local_variables.iter();
        let locals =
            locals.map(|(handle, local)| (handle, names.unique(local.name.as_deref().unwrap_or("value")))).collect();
        let mut body = Body {
            translation,
            function,
            info,
            classes: classes.clone(),
            scopes: scopes.clone(),
            arguments,
            locals,
            bound: HashMap::new(),
            hoisted: HashMap::new(),
            fused: HashMap::new(),
            logic: HashSet::new(),
            declared: HashSet::new(),
            masks: Vec::new(),
            masked,
            masked_returns: false,
            workgroup: None,
            names,
            scope: 0,
            prologue: String::new(),
            out: String::new(),
        };
        let mut exits = scopes.exits.iter();
        body.masked_returns = exits.any(|exit| exit.kind == ExitKind::Return && body.region(exit.scope) != 0);
        body.find_logic(&function.body);
        body
    }

    /// The whole function as Rust.
    pub(super) fn translate(translation: &'t mut Translation<'a>, instance: &Instance<'a>) -> Result<String> {
        let function = instance.function;
        let mut body = Body::new(translation, instance);
        body.signature(&instance.name)?;
        if body.masked || body.masked_returns {
            if !body.masked {
                body.line("let mut active = Bool::splat(simd, true);");
            }
            body.masks.push(Mask { scope: 0, name: "active".to_owned() });
        }
        if body.masked_returns
            && let Some(result) = &function.result
        {
            let inner = &body.translation.shader.module.types[result.ty].inner;
            let Some(zero) = zero(&body.translation.shader.module, inner) else {
                return Err(Unsupported::new(naga::Span::default(), "a result of this type"));
            };
            let zero = convert(Value::uniform(zero), inner, &body.result_class());
            body.line(&format!("let mut returned = {};", zero.text));
        }
        body.block(&function.body, 0)?;
        if body.masked_returns && function.result.is_some() {
            body.line("returned");
        }
        body.line("}");
        Ok(body.out)
    }

    pub(super) fn result_class(&self) -> Class {
        self.classes.result.clone()
    }

    fn signature(&mut self, name: &str) -> Result<()> {
        let module = &self.translation.shader.module;
        let mut arguments = String::from("simd: S, shader: &Shader<'_, CHECKED>, ");
        if self.masked {
            let mutable = if self.masked_returns { "mut " } else { "" };
            let _ = write!(arguments, "{mutable}active: Bool<S>, ");
        }
        for (index, argument) in self.function.arguments.iter().enumerate() {
            let class = &self.classes.arguments[index];
            let inner = &module.types[argument.ty].inner;
            let (inner, reference) = match *inner {
                naga::TypeInner::Pointer { base, .. } => (&module.types[base].inner, "&mut "),
                _ => (inner, ""),
            };
            let Some(ty) = rust_type(module, inner, class) else {
                return Err(Unsupported::new(naga::Span::default(), "an argument of this type"));
            };
            let _ = write!(arguments, "{}: {reference}{ty}, ", self.arguments[index]);
        }
        let result = match &self.function.result {
            Some(result) => match rust_type(module, &module.types[result.ty].inner, &self.result_class()) {
                Some(ty) => format!(" -> {ty}"),
                None => return Err(Unsupported::new(naga::Span::default(), "a result of this type")),
            },
            None => String::new(),
        };
        self.line(&format!("#[inline(always)]\nfn {name}<S: Simd, const CHECKED: bool>({arguments}){result} {{"));
        Ok(())
    }

    pub(super) fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    /// The error for a statement that cannot be translated.
    pub(super) fn fail<T>(&self, statement: &Statement, construct: impl Into<String>) -> Result<T> {
        Err(Unsupported::new(self.scopes.span(statement_id(statement)), construct))
    }
}
