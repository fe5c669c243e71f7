//! The translation of a function: signature, variables and statements.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::rc::Rc;

use naga::{Block, Expression, Function, Handle, LocalVariable, Statement};

use super::Unsupported;
use super::expression::Result;
use super::names::Names;
use super::scopes::{ExitKind, Id, Position, ScopeId, ScopeKind, Scopes, Variable};
use super::scopes::{block_id, statement_id, variable};
use super::translation::{Instance, Translation};
use super::types::{convert, rust_type, zero};
use super::uniformity::{Class, Classes};
use super::value::Value;

/// A variable with the mask of the active lanes of a scope.
#[derive(Clone, Debug)]
pub(super) struct Mask {
    pub(super) scope: ScopeId,
    pub(super) name: String,
}

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

    /// The mask of the active lanes; `None` where all are.
    pub(super) fn mask(&self) -> Option<String> {
        self.masks.last().map(|mask| mask.name.clone())
    }

    /// The mask of a store to a variable that inactive lanes may read later.
    pub(super) fn blending(&self, pointer: Handle<Expression>) -> Option<String> {
        let mask = self.mask()?;
        match variable(self.function, pointer)? {
            Variable::Argument(_) => Some(mask),
            local @ Variable::Local(handle) => {
                let initialised = self.function.local_variables[handle].init.is_some();
                let (home, _) = self.scopes.home(local, initialised);
                (self.region(self.scope) != self.region(home)).then_some(mask)
            }
        }
    }

    fn divides(&self, scope: ScopeId) -> bool {
        match self.scopes.tree[scope].kind {
            ScopeKind::Branch(id) | ScopeKind::Loop(id) => self.classes.varying.contains(&id),
            ScopeKind::Body(id) => self.classes.varying_body.contains(&id),
            _ => false,
        }
    }

    pub(super) fn region(&self, scope: ScopeId) -> ScopeId {
        self.scopes.ancestors(scope).find(|&scope| self.divides(scope)).unwrap_or(0)
    }

    pub(super) fn scope_of(&self, id: Id) -> ScopeId {
        self.scopes.of.get(&id).copied().unwrap_or(0)
    }

    /// A block with the variables that live in it.
    pub(super) fn block(&mut self, block: &'a Block, scope: ScopeId) -> Result<()> {
        self.block_from(block, scope, 0)
    }

    pub(super) fn block_from(&mut self, block: &'a Block, scope: ScopeId, first: usize) -> Result<()> {
        let outer = std::mem::replace(&mut self.scope, scope);
        let statements: Vec<&'a Statement> = block.iter().skip(first).collect();
        if self.workgroup.as_ref().is_some_and(|workgroup| workgroup.segment.is_none()) {
            self.workgroup_statements(&statements)?;
        } else {
            self.statements(&statements)?;
        }
        self.scope = outer;
        Ok(())
    }

    /// Declares the variables of this scope that are first used by this statement and not declared by their first
    /// store.
    fn declare(&mut self, statement: &Statement) -> Result<()> {
        let module = &self.translation.shader.module;
        let Some(&(start, end)) = self.scopes.extents.get(&statement_id(statement)) else { return Ok(()) };
        for (handle, local) in self.function.local_variables.iter() {
            let name = Variable::Local(handle);
            let first = self.scopes.accesses.get(&name).and_then(|accesses| accesses.first());
            if !first.is_some_and(|first| (start..=end).contains(&first.position.order)) {
                continue;
            }
            let (home, fresh) = self.scopes.home(name, local.init.is_some());
            if fresh || home != self.scope || self.logic.contains(&handle) || !self.declared.insert(handle) {
                continue;
            }
            let inner = &module.types[local.ty].inner;
            let class = self.classes.variables.get(&name).cloned().unwrap_or(Class::Uniform);
            let value = match local.init {
                Some(init) => self.value(init)?,
                None => match zero(module, inner) {
                    Some(zero) => Value::uniform(zero),
                    None => {
                        let span = self.function.local_variables.get_span(handle);
                        return Err(Unsupported::new(span, "a variable of this type"));
                    }
                },
            };
            let value = convert(value, inner, &class);
            self.line(&format!("let mut {} = {};", self.locals[&handle], value.text));
        }
        Ok(())
    }

    pub(super) fn statements(&mut self, statements: &[&'a Statement]) -> Result<()> {
        for (index, &statement) in statements.iter().enumerate() {
            self.declare(statement)?;
            if let Some(logic) = self.as_logic(statement) {
                self.fuse(&logic)?;
                continue;
            }
            self.statement(statement)?;
            let rest = &statements[index + 1..];
            let Some(mask) = self.mask().filter(|_| self.removes_lanes(statement)) else { continue };
            // Lanes may have exited: the rest runs for the remaining lanes, if any.
            let scopes = self.scopes.clone();
            let around = scopes.ancestors(self.scope).find(|&scope| scopes.tree[scope].kind != ScopeKind::Plain);
            let top = self.masks.last().map_or(0, |mask| mask.scope);
            match around.map(|scope| (scope, self.scopes.tree[scope].kind)) {
                Some((_, ScopeKind::Body(id))) if top == self.scope_of(id) => {
                    self.line(&format!("if !{mask}.any() {{ break {}; }}", self.label("loop", id)));
                }
                _ if rest.iter().all(|statement| self.scopes.idle.contains(&statement_id(statement))) => return Ok(()),
                Some((0, _)) if top == 0 => {
                    let result = if self.function.result.is_some() { " returned" } else { "" };
                    self.line(&format!("if !{mask}.any() {{ return{result}; }}"));
                }
                _ => {
                    self.line(&format!("if {mask}.any() {{"));
                    self.statements(rest)?;
                    self.line("}");
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whether a position is in the segment that is being translated; always true without barriers.
    pub(super) fn is_here(&self, position: Position) -> bool {
        let segment = self.workgroup.as_ref().and_then(|workgroup| workgroup.segment);
        segment.is_none_or(|(start, end)| (start..=end).contains(&position.order))
    }

    pub(super) fn label(&self, kind: &str, id: Id) -> String {
        format!("'{kind}_{}", self.scope_of(id))
    }

    /// Whether some of the active lanes may exit the enclosing scope by this statement.
    fn removes_lanes(&self, statement: &Statement) -> bool {
        let inside: Vec<ScopeId> = super::blocks(statement).map(|block| self.scope_of(block_id(block))).collect();
        self.scopes.exits.iter().any(|exit| {
            let target = self.scopes.tree[exit.target].kind;
            let masked = match (exit.kind, target) {
                (ExitKind::Return, _) => self.masked_returns,
                (ExitKind::Break, ScopeKind::Loop(id)) => self.classes.varying.contains(&id),
                (ExitKind::Continue, ScopeKind::Body(id)) => self.classes.varying_body.contains(&id),
                _ => false,
            };
            masked
                && inside.iter().any(|&block| self.scopes.contains(block, exit.scope))
                && self.scopes.contains(exit.target, self.scope)
        })
    }

    pub(super) fn statement(&mut self, statement: &'a Statement) -> Result<()> {
        match *statement {
            Statement::Emit(ref range) => range.clone().try_for_each(|expression| self.emit(expression)),
            // Names are unique, so braces are unnecessary.
            Statement::Block(ref block) => self.block(block, self.scope_of(block_id(block))),
            Statement::If { condition, ref accept, ref reject } => self.if_(condition, accept, reject),
            Statement::Switch { selector, ref cases } => self.switch(statement, selector, cases),
            Statement::Loop { ref body, ref continuing, break_if } => {
                self.loop_(statement_id(statement), body, continuing, break_if)
            }
            Statement::Return { .. } if self.scopes.idle.contains(&statement_id(statement)) => Ok(()),
            Statement::Break if self.scopes.idle.contains(&statement_id(statement)) => Ok(()),
            Statement::Break => self.exit(statement, ExitKind::Break, None),
            Statement::Continue => self.exit(statement, ExitKind::Continue, None),
            Statement::Return { value } => self.exit(statement, ExitKind::Return, value),
            Statement::Store { pointer, value } => self.assign(pointer, value),
            Statement::Call { function, ref arguments, result } => self.call(statement, function, arguments, result),
            Statement::ControlBarrier(_) | Statement::MemoryBarrier(_) => {
                self.fail(statement, "a barrier in a function that an entry point calls")
            }
            Statement::Atomic { .. } => self.fail(statement, "an atomic operation"),
            Statement::WorkGroupUniformLoad { .. } => self.fail(statement, "`workgroupUniformLoad`"),
            Statement::ImageStore { .. } | Statement::ImageAtomic { .. } => self.fail(statement, "a texture"),
            Statement::SubgroupBallot { .. }
            | Statement::SubgroupGather { .. }
            | Statement::SubgroupCollectiveOperation { .. } => self.fail(statement, "a subgroup operation"),
            _ => self.fail(statement, "this statement"),
        }
    }

    /// The error for a statement that cannot be translated.
    pub(super) fn fail<T>(&self, statement: &Statement, construct: impl Into<String>) -> Result<T> {
        Err(Unsupported::new(self.scopes.span(statement_id(statement)), construct))
    }

    /// Binds an expression to a name, unless its only use is in its own statement.
    fn emit(&mut self, expression: Handle<Expression>) -> Result<()> {
        if super::is_pointer(self.translation.shader, self.info, expression) || self.is_inline(expression) {
            return Ok(());
        }
        if self.scopes.used[expression.index()].is_empty() {
            return Ok(());
        }
        let value = self.compute(expression)?;
        self.bind(expression, value)
    }

    /// Binds a value to a name.
    pub(super) fn bind(&mut self, expression: Handle<Expression>, value: Value) -> Result<()> {
        let name = if let Some(name) = self.hoisted.get(&expression) {
            let name = name.clone();
            self.line(&format!("{name} = {};", value.text));
            name
        } else if self.scopes.used[expression.index()].iter().all(|&position| self.is_here(position)) {
            let name = self.name_of(expression);
            self.line(&format!("let {name} = {};", value.text));
            name
        } else {
            let (name, zero) = (self.name_of(expression), self.placeholder(expression, &value.class)?);
            self.declare_spread(&name, &zero);
            self.line(&format!("{name}[at.index] = {};", value.text));
            format!("{name}[at.index]")
        };
        self.bound.insert(expression, Value::whole(name, value.class));
        Ok(())
    }

    /// A new name for a value, its own if it has one.
    pub(super) fn name_of(&mut self, expression: Handle<Expression>) -> String {
        let own = self.function.named_expressions.get(&expression);
        self.names.unique(own.map_or("t", String::as_str))
    }

    /// The initial value of a variable whose value is computed later.
    pub(super) fn placeholder(&self, expression: Handle<Expression>, class: &Class) -> Result<String> {
        let inner = self.inner(expression);
        match (class, zero(&self.translation.shader.module, inner)) {
            (Class::Clamped, _) => Ok("Clamped::new(0, 0)".to_owned()),
            (_, Some(zero)) => Ok(convert(Value::uniform(zero), inner, class).text),
            (_, None) => self.unsupported(expression, "a value of this type across a barrier or a `continue`"),
        }
    }

    pub(super) fn is_inline(&self, expression: Handle<Expression>) -> bool {
        let used = &self.scopes.used[expression.index()];
        if self.function.named_expressions.contains_key(&expression) {
            return false;
        }
        // A component of a named value needs no name.
        if let Expression::AccessIndex { base, .. } = self.function.expressions[expression]
            && (self.bound.contains_key(&base)
                || matches!(self.function.expressions[base], Expression::FunctionArgument(_)))
        {
            return true;
        }
        match (used.as_slice(), self.scopes.evaluated[expression.index()]) {
            ([only], Some(evaluated)) => together(*only, evaluated),
            _ => false,
        }
    }

    fn assign(&mut self, pointer: Handle<Expression>, value: Handle<Expression>) -> Result<()> {
        if let Expression::LocalVariable(local) = self.function.expressions[pointer] {
            let name = Variable::Local(local);
            let (home, fresh) = self.scopes.home(name, self.function.local_variables[local].init.is_some());
            if fresh && home == self.scope && self.declared.insert(local) {
                let class = self.classes.variables.get(&name).cloned().unwrap_or(Class::Uniform);
                let value = self.value_as(value, &class)?;
                self.line(&format!("let mut {} = {};", self.locals[&local], value.text));
                return Ok(());
            }
        }
        self.store(pointer, value)
    }
}

/// Whether no statement runs between two positions.
fn together(a: Position, b: Position) -> bool {
    a.scope == b.scope && a.statement == b.statement
}
