//! A function's statements as Rust: control that differs between lanes becomes masks.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::rc::Rc;

use naga::{Block, Expression, Function, Handle, LocalVariable, Statement, SwitchValue};

use super::Unsupported;
use super::entry::{Instance, Translation};
use super::expression::Result;
use super::place::{Place, assignable};
use super::scopes::{ExitKind, Id, Position, ScopeId, ScopeKind, Scopes, Variable};
use super::scopes::{block_id, operands, statement_id, variable};
use super::types::{convert, literal, rust_type, zero};
use super::uniformity::{Class, Classes};
use super::value::{Rank, Value};
use crate::names::ident;

/// Names that are given once.
#[derive(Clone)]
pub(super) struct Names(HashMap<String, usize>);

impl Names {
    /// None given yet but those that translated code uses itself, or that Rust does not take as a variable's.
    pub(super) fn new() -> Names {
        const TAKEN: &[&str] = &[
            "simd",
            "shader",
            "active",
            "returned",
            "leaving",
            "wgsl",
            "v",
            "workgroup",
            "order",
            "at",
            "dispatch",
            "range",
            "F32",
            "U32",
            "I32",
            "Bool",
            "Uniform",
            "Lanes",
            "Scalars",
            "Fault",
            "Some",
            "None",
            "Ok",
            "Err",
            "OVERRIDES",
            "CHECKED",
            "LEAST_LANES",
        ];
        Names(TAKEN.iter().map(|&name| (name.to_owned(), 1)).collect())
    }

    pub(super) fn reserve(&mut self, name: &str) {
        self.0.entry(name.to_owned()).or_insert(1);
    }

    /// This name, or this name and a number.
    pub(super) fn unique(&mut self, name: &str) -> String {
        let mut free = name.to_owned();
        while self.0.contains_key(&free) {
            let count = self.0.entry(name.to_owned()).or_insert(1);
            *count += 1;
            free = format!("{name}_{count}");
        }
        self.0.insert(free.clone(), 1);
        ident(&free)
    }

    /// As [`Names::unique`], and not given in `others` either.
    pub(super) fn unique_in_both(&mut self, others: &mut Names, name: &str) -> String {
        loop {
            let free = self.unique(name);
            let plain = free.strip_prefix("r#").unwrap_or(&free);
            if !others.0.contains_key(plain) {
                others.reserve(plain);
                return free;
            }
        }
    }
}

/// A variable that holds which lanes are active within a scope.
#[derive(Clone, Debug)]
pub(super) struct Mask {
    pub(super) scope: ScopeId,
    pub(super) name: String,
}

/// An entry point with barriers, which is translated for a whole workgroup.
#[derive(Clone, Debug)]
pub(super) struct Workgroup {
    pub(super) size: [u32; 3],
    /// The most vectors that it takes.
    pub(super) vectors: u32,
    /// The statements that give the arguments for the invocations `at`.
    pub(super) arguments: String,
    /// The range of places without a barrier that is being translated.
    pub(super) segment: Option<(usize, usize)>,
}

/// A function while it is translated.
pub(super) struct Body<'a, 't> {
    pub(super) translation: &'t mut Translation<'a>,
    pub(super) function: &'a Function,
    pub(super) info: &'a naga::valid::FunctionInfo,
    pub(super) classes: Rc<Classes>,
    pub(super) scopes: Rc<Scopes>,
    /// The names of the arguments.
    pub(super) arguments: Vec<String>,
    pub(super) locals: HashMap<Handle<LocalVariable>, String>,
    /// Values that have a name.
    pub(super) bound: HashMap<Handle<Expression>, Value>,
    /// The names of values that are declared before they are computed.
    hoisted: HashMap<Handle<Expression>, String>,
    /// `a && b` and `a || b`, which naga takes apart, by the variable that naga makes for them.
    pub(super) fused: HashMap<Handle<LocalVariable>, Value>,
    logic: HashSet<Handle<LocalVariable>>,
    pub(super) declared: HashSet<Handle<LocalVariable>>,
    pub(super) masks: Vec<Mask>,
    /// Whether the function is given the mask of the active lanes.
    pub(super) masked: bool,
    /// Whether lanes leave the function at different times.
    pub(super) masked_returns: bool,
    pub(super) workgroup: Option<Workgroup>,
    pub(super) names: Names,
    pub(super) scope: ScopeId,
    /// What stands before all else in an entry point with barriers.
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

    fn result_class(&self) -> Class {
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

    /// The mask by which a store to a variable must be limited: some lanes that are not active may read it later.
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

    fn region(&self, scope: ScopeId) -> ScopeId {
        self.scopes.ancestors(scope).find(|&scope| self.divides(scope)).unwrap_or(0)
    }

    fn scope_of(&self, id: Id) -> ScopeId {
        self.scopes.of.get(&id).copied().unwrap_or(0)
    }

    /// A block with the variables that live in it.
    pub(super) fn block(&mut self, block: &'a Block, scope: ScopeId) -> Result<()> {
        self.block_from(block, scope, 0)
    }

    fn block_from(&mut self, block: &'a Block, scope: ScopeId, first: usize) -> Result<()> {
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

    /// Declares the variables that live in this scope, are not declared by their first value, and are first used by
    /// this statement.
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
            // Lanes may have left: what follows is for those that are still there, if there are any.
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

    /// Whether a place lies in what is being translated: all does, but for entry points with barriers.
    fn is_here(&self, position: Position) -> bool {
        let segment = self.workgroup.as_ref().and_then(|workgroup| workgroup.segment);
        segment.is_none_or(|(start, end)| (start..=end).contains(&position.order))
    }

    fn label(&self, kind: &str, id: Id) -> String {
        format!("'{kind}_{}", self.scope_of(id))
    }

    /// Whether some of the active lanes may leave the scope around this statement by it.
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
            // Names are given once, so that braces would say nothing.
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

    /// A statement that has no translation.
    pub(super) fn fail<T>(&self, statement: &Statement, construct: impl Into<String>) -> Result<T> {
        Err(Unsupported::new(self.scopes.span(statement_id(statement)), construct))
    }

    /// Gives an expression a name, unless its only use is in the statement that it belongs to.
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

    /// Gives a value a name.
    fn bind(&mut self, expression: Handle<Expression>, value: Value) -> Result<()> {
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
    fn name_of(&mut self, expression: Handle<Expression>) -> String {
        let own = self.function.named_expressions.get(&expression);
        self.names.unique(own.map_or("t", String::as_str))
    }

    /// What stands for a value that is not computed yet.
    fn placeholder(&self, expression: Handle<Expression>, class: &Class) -> Result<String> {
        let inner = self.inner(expression);
        match (class, zero(&self.translation.shader.module, inner)) {
            (Class::Clamped, _) => Ok("Clamped::new(0, 0)".to_owned()),
            (_, Some(zero)) => Ok(convert(Value::uniform(zero), inner, class).text),
            (_, None) => self.unsupported(expression, "a value of this type across a barrier or a `continue`"),
        }
    }

    /// Declares the values of a loop's body that what continues the loop uses: the body becomes a block of its own.
    fn hoist(&mut self, body: &'a Block, scope: ScopeId) -> Result<()> {
        if self.workgroup.as_ref().is_some_and(|workgroup| workgroup.segment.is_none()) {
            return Ok(()); // There, such values have one element per vector.
        }
        let mut values: Vec<Handle<Expression>> = Vec::new();
        for statement in body.iter() {
            match *statement {
                Statement::Emit(ref range) => values.extend(range.clone()),
                Statement::Call { result, .. } => values.extend(result),
                _ => {}
            }
        }
        for value in values {
            let used = &self.scopes.used[value.index()];
            if used.iter().all(|position| self.scopes.contains(scope, position.scope)) {
                continue;
            }
            let (name, zero) = (self.name_of(value), self.placeholder(value, &self.class(value))?);
            self.line(&format!("let mut {name} = {zero};"));
            self.hoisted.insert(value, name);
        }
        Ok(())
    }

    fn is_inline(&self, expression: Handle<Expression>) -> bool {
        let used = &self.scopes.used[expression.index()];
        if self.function.named_expressions.contains_key(&expression) {
            return false;
        }
        // A component of something that has a name is a name.
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

    fn if_(&mut self, condition: Handle<Expression>, accept: &'a Block, reject: &'a Block) -> Result<()> {
        let test = self.value(condition)?;
        let (then, otherwise) = (self.scope_of(block_id(accept)), self.scope_of(block_id(reject)));
        let does = |block: &Block| !block.iter().all(|statement| self.scopes.idle.contains(&statement_id(statement)));
        let (accepts, rejects) = (does(accept), does(reject));
        if test.class == Class::Uniform {
            if !accepts {
                self.line(&format!("if {} {{", head(&format!("!{}", test.within(Rank::Unary)))));
                self.block(reject, otherwise)?;
                self.line("}");
                return Ok(());
            }
            self.line(&format!("if {} {{", head(&test.text)));
            self.block(accept, then)?;
            if rejects {
                self.line("} else {");
                self.block(reject, otherwise)?;
            }
            self.line("}");
            return Ok(());
        }
        let test = convert(test, self.inner(condition), &Class::Varying);
        // Lanes that only leave.
        match (accept.first(), reject.first()) {
            (Some(exit), _) if !rejects && accept.len() == 1 && self.leave_where(exit, then, &test) => return Ok(()),
            (_, Some(exit)) if !accepts && reject.len() == 1 => {
                let other = Value::ranked(format!("!{}", test.within(Rank::Unary)), Class::Varying, Rank::Unary);
                if self.leave_where(exit, otherwise, &other) {
                    return Ok(());
                }
            }
            _ => {}
        }
        let both = accepts && rejects;
        let test = if both && !test.is_name() {
            let name = self.names.unique("test");
            self.line(&format!("let {name} = {};", test.text));
            Value::whole(name, Class::Varying)
        } else {
            test
        };
        if accepts {
            self.branch("then", &test, accept, then)?;
        }
        if rejects {
            let other = Value::ranked(format!("!{}", test.within(Rank::Unary)), Class::Varying, Rank::Unary);
            self.branch("otherwise", &other, reject, otherwise)?;
        }
        Ok(())
    }

    /// A block for the active lanes that pass a test.
    fn branch(&mut self, name: &str, test: &Value, block: &'a Block, scope: ScopeId) -> Result<()> {
        let name = self.names.unique(name);
        let mask = match self.mask() {
            Some(mask) => Value::whole(mask, Class::Varying).operator("&", Rank::BitAnd, test, Class::Varying).text,
            None => test.text.clone(),
        };
        self.line(&format!("let mut {name} = {mask};"));
        self.line(&format!("if {name}.any() {{"));
        self.masks.push(Mask { scope, name });
        self.block(block, scope)?;
        self.masks.pop();
        self.line("}");
        Ok(())
    }

    /// The masks that lanes leave by this exit, the innermost first, and whether the exit takes masks at all.
    fn left_by(&self, kind: ExitKind, scope: ScopeId) -> Option<(ScopeId, Vec<String>)> {
        let exit = |wanted: fn(ScopeKind) -> bool| {
            self.scopes.ancestors(scope).find(|&scope| wanted(self.scopes.tree[scope].kind)).unwrap_or(0)
        };
        let target = match kind {
            ExitKind::Return => 0,
            ExitKind::Break => exit(|kind| matches!(kind, ScopeKind::Loop(_) | ScopeKind::Switch(_))),
            ExitKind::Continue => exit(|kind| matches!(kind, ScopeKind::Body(_))),
        };
        let masked = match (kind, self.scopes.tree[target].kind) {
            (ExitKind::Return, _) => self.masked_returns,
            (_, ScopeKind::Loop(id)) => self.classes.varying.contains(&id),
            (_, ScopeKind::Body(id)) => self.classes.varying_body.contains(&id),
            _ => false,
        };
        if !masked {
            return None;
        }
        let left = self.masks.iter().rev().filter(|mask| self.scopes.contains(target, mask.scope));
        Some((target, left.map(|mask| mask.name.clone()).collect()))
    }

    /// Takes the lanes that pass the test out of all masks up to what they leave, if that is all that this exit does.
    fn leave_where(&mut self, exit: &Statement, scope: ScopeId, test: &Value) -> bool {
        let kind = match exit {
            Statement::Break => ExitKind::Break,
            Statement::Continue => ExitKind::Continue,
            Statement::Return { value: None } => ExitKind::Return,
            _ => return false,
        };
        let Some((_, left)) = self.left_by(kind, scope) else { return false };
        match left.as_slice() {
            [] => false,
            [only] => {
                let stays = match test.text.strip_prefix('!') {
                    Some(stays) if test.rank == Rank::Unary => stays.to_owned(),
                    _ => format!("!{}", test.within(Rank::Unary)),
                };
                self.line(&format!("{only} = {only} & {stays};"));
                true
            }
            [top, ..] => {
                let all = test.within(Rank::Shift);
                self.line(&format!("let leaving = {top} & {all};"));
                for mask in &left {
                    self.line(&format!("{mask} = {mask} & !leaving;"));
                }
                true
            }
        }
    }

    fn exit(&mut self, statement: &Statement, kind: ExitKind, value: Option<Handle<Expression>>) -> Result<()> {
        let class = self.result_class();
        let value = match value {
            Some(value) => Some(self.value_as(value, &class)?.text),
            None => None,
        };
        let Some((target, left)) = self.left_by(kind, self.scope) else {
            return self.plain_exit(statement, kind, value);
        };
        let Some(top) = self.mask() else { return self.plain_exit(statement, kind, value) };
        if let Some(value) = value {
            match class {
                Class::Uniform => self.line(&format!("returned = {value};")),
                _ => self.line(&format!("returned = {top}.select({value}, returned);")),
            }
        }
        if left.len() == 1 {
            // All lanes that are still in what is left leave it together.
            return match kind {
                ExitKind::Return => {
                    let result = if self.function.result.is_some() { " returned" } else { "" };
                    self.line(&format!("return{result};"));
                    Ok(())
                }
                _ => {
                    let kind = if kind == ExitKind::Continue { "body" } else { "loop" };
                    self.line(&format!("break '{kind}_{target};"));
                    Ok(())
                }
            };
        }
        for mask in left.iter().skip(1) {
            self.line(&format!("{mask} = {mask} & !{top};"));
        }
        self.line(&format!("{top} = Bool::splat(simd, false);"));
        Ok(())
    }

    /// An exit that all lanes take together.
    fn plain_exit(&mut self, statement: &Statement, kind: ExitKind, value: Option<String>) -> Result<()> {
        match kind {
            ExitKind::Return => match value {
                // At the end of the function.
                Some(value) if self.scope == 0 => self.line(&value),
                Some(value) => self.line(&format!("return {value};")),
                None => self.line("return;"),
            },
            ExitKind::Continue => {
                let scopes = self.scopes.clone();
                let body = scopes.ancestors(self.scope).find(|&s| matches!(scopes.tree[s].kind, ScopeKind::Body(_)));
                self.line(&format!("break 'body_{};", body.unwrap_or(0)));
            }
            ExitKind::Break => {
                let scopes = self.scopes.clone();
                let is_target = |&s: &ScopeId| matches!(scopes.tree[s].kind, ScopeKind::Loop(_) | ScopeKind::Switch(_));
                let target = scopes.ancestors(self.scope).find(is_target).unwrap_or(0);
                if let ScopeKind::Switch(_) = scopes.tree[target].kind {
                    if self.masks.iter().any(|mask| mask.scope != target && scopes.contains(target, mask.scope)) {
                        return self.fail(statement, SWITCH_BREAK);
                    }
                    self.line(&format!("break 'switch_{target};"));
                } else {
                    self.line(&format!("break 'loop_{target};"));
                }
            }
        }
        Ok(())
    }

    fn loop_(
        &mut self,
        id: Id,
        body: &'a Block,
        continuing: &'a Block,
        break_if: Option<Handle<Expression>>,
    ) -> Result<()> {
        let varying = self.classes.varying.contains(&id);
        let varying_body = self.classes.varying_body.contains(&id);
        let (scope, inner) = (self.scope_of(id), self.scope_of(block_id(body)));
        let label = self.label("loop", id);
        let outer = std::mem::replace(&mut self.scope, scope);
        let mut masks = 0;
        if varying {
            let name = self.names.unique("looping");
            let all = self.mask().unwrap_or_else(|| "Bool::splat(simd, true)".to_owned());
            self.line(&format!("let mut {name} = {all};"));
            self.masks.push(Mask { scope, name });
            masks += 1;
        }
        let (condition, first) = if varying { (None, 0) } else { self.while_condition(body, inner)? };
        let start = self.out.len();
        match condition {
            Some(condition) => self.line(&format!("{label}: while {condition} {{")),
            None => self.line(&format!("{label}: loop {{")),
        }
        let continues = self.scopes.exits.iter().any(|exit| exit.kind == ExitKind::Continue && exit.target == inner);
        if continues {
            self.hoist(body, inner)?;
            self.line(&format!("'body_{inner}: {{"));
        }
        if varying_body {
            let name = self.names.unique("going_on");
            let all = self.mask().unwrap_or_else(|| "Bool::splat(simd, true)".to_owned());
            self.line(&format!("let mut {name} = {all};"));
            self.masks.push(Mask { scope: inner, name });
        }
        self.block_from(body, inner, first)?;
        if varying_body {
            self.masks.pop();
        }
        if continues {
            self.line("}");
        }
        if let Some(mask) = self.mask().filter(|_| varying_body) {
            self.line(&format!("if !{mask}.any() {{ break {label}; }}"));
        }
        self.block(continuing, self.scope_of(block_id(continuing)))?;
        if let Some(condition) = break_if {
            let test = self.value(condition)?;
            match self.mask().filter(|_| test.class != Class::Uniform) {
                Some(mask) => {
                    let test = convert(test, self.inner(condition), &Class::Varying);
                    self.line(&format!("{mask} = {mask} & !{};", test.within(Rank::Unary)));
                    self.line(&format!("if !{mask}.any() {{ break {label}; }}"));
                }
                None => self.line(&format!("if {} {{ break {label}; }}", head(&test.text))),
            }
        }
        self.line("}");
        if !self.out[start..].contains(&format!("break {label};")) {
            self.out.replace_range(start..start + label.len() + 2, "");
        }
        self.masks.truncate(self.masks.len() - masks);
        self.scope = outer;
        Ok(())
    }

    /// The condition of a `while` or `for`, which naga writes as `if condition {} else { break; }` at the start of the
    /// body, and the number of statements that stand for it.
    fn while_condition(&mut self, body: &'a Block, scope: ScopeId) -> Result<(Option<String>, usize)> {
        for (index, statement) in body.iter().enumerate() {
            match statement {
                Statement::Emit(range) => {
                    let pointers = |&e: &Handle<Expression>| super::is_pointer(self.translation.shader, self.info, e);
                    if !range.clone().all(|e| pointers(&e) || self.is_inline(e)) {
                        break;
                    }
                }
                Statement::If { condition, accept, reject } => {
                    let only_breaks = matches!(reject.first(), Some(Statement::Break)) && reject.len() == 1;
                    if !accept.is_empty() || !only_breaks || !self.class(*condition).is_uniform() {
                        break;
                    }
                    let outer = std::mem::replace(&mut self.scope, scope);
                    let condition = self.value(*condition)?;
                    self.scope = outer;
                    return Ok((Some(head(&condition.text)), index + 1));
                }
                _ => break,
            }
        }
        Ok((None, 0))
    }

    fn switch(
        &mut self,
        statement: &'a Statement,
        selector: Handle<Expression>,
        cases: &'a [naga::SwitchCase],
    ) -> Result<()> {
        let id = statement_id(statement);
        let scope = self.scope_of(id);
        let value = self.value(selector)?;
        let outer = std::mem::replace(&mut self.scope, scope);
        // Consecutive labels of one body.
        let mut groups: Vec<(Vec<SwitchValue>, &'a Block)> = Vec::new();
        let mut labels = Vec::new();
        for case in cases {
            labels.push(case.value);
            if case.fall_through && case.body.is_empty() {
                continue;
            }
            if case.fall_through {
                return self.fail(statement, "a case that falls through");
            }
            groups.push((std::mem::take(&mut labels), &case.body));
        }
        if value.class == Class::Uniform {
            let breaks = self.scopes.exits.iter().any(|exit| exit.kind == ExitKind::Break && exit.target == scope);
            if breaks {
                self.line(&format!("'switch_{scope}: {{"));
            }
            self.line(&format!("match {} {{", head(&value.text)));
            // Rust takes the first arm that fits: what fits all comes last.
            groups.sort_by_key(|(labels, _)| labels.contains(&SwitchValue::Default));
            for (labels, block) in groups {
                if labels.contains(&SwitchValue::Default) {
                    self.line("_ => {");
                } else {
                    let labels = labels.iter().filter_map(|label| number(*label));
                    let labels: Vec<String> = labels.map(|label| label.text).collect();
                    self.line(&format!("{} => {{", labels.join(" | ")));
                }
                self.block(block, self.scope_of(block_id(block)))?;
                self.line("}");
            }
            self.line("}");
            if breaks {
                self.line("}");
            }
        } else {
            let value = convert(value, self.inner(selector), &Class::Varying);
            let chosen = self.names.unique("selector");
            self.line(&format!("let {chosen} = {};", value.text));
            let test = |labels: &[SwitchValue]| {
                let labels = labels.iter().filter_map(|label| number(*label));
                let tests =
                    labels.map(|label| format!("Compare::eq({chosen}, {})", label.method("lanes", "simd").text));
                tests.collect::<Vec<_>>()
            };
            let all: Vec<String> = groups.iter().flat_map(|(labels, _)| test(labels)).collect();
            for (labels, block) in groups {
                let is_default = labels.contains(&SwitchValue::Default);
                let tests = if is_default { all.clone() } else { test(&labels) };
                let own = test(&labels);
                let text = if is_default {
                    let others: Vec<String> = tests.into_iter().filter(|test| !own.contains(test)).collect();
                    if others.is_empty() {
                        "Bool::splat(simd, true)".to_owned()
                    } else {
                        format!("!({})", others.join(" | "))
                    }
                } else {
                    format!("({})", tests.join(" | "))
                };
                let breaks = |found: &&Statement| {
                    matches!(found, Statement::Break) && !self.scopes.idle.contains(&statement_id(found))
                };
                if let Some(found) = block.iter().find(breaks) {
                    return self.fail(found, SWITCH_BREAK);
                }
                let test = Value::whole(text, Class::Varying);
                self.branch("case", &test, block, self.scope_of(block_id(block)))?;
            }
        }
        self.scope = outer;
        Ok(())
    }

    fn call(
        &mut self,
        statement: &Statement,
        function: Handle<Function>,
        arguments: &[Handle<Expression>],
        result: Option<Handle<Expression>>,
    ) -> Result<()> {
        let id = statement_id(statement);
        let Some(classes) = self.classes.calls.get(&id).cloned() else { return self.fail(statement, "this call") };
        let needs_mask = self.mask().filter(|_| self.translation.needs_mask(function));
        let masked = needs_mask.is_some();
        let (name, class) = self.translation.instance(function, &classes, masked, &mut self.names)?;
        let is_pointer = |&e: &Handle<Expression>| super::is_pointer(self.translation.shader, self.info, e);
        let has_pointers = arguments.iter().any(is_pointer);
        let mut text = format!("{name}(simd, shader");
        if let Some(mask) = needs_mask {
            let _ = write!(text, ", {mask}");
        }
        for (&argument, class) in arguments.iter().zip(&classes) {
            if super::is_pointer(self.translation.shader, self.info, argument) {
                let place = match self.place(argument)? {
                    Place::Variable(place) => Some(place),
                    Place::Part { root, path } => match *root {
                        Place::Variable(root) => assignable(&root, &path),
                        _ => None,
                    },
                    _ => None,
                };
                let Some(place) = place else { return self.unsupported(argument, "a pointer to this as an argument") };
                let _ = write!(text, ", &mut {}", place.within(Rank::Unary));
            } else {
                let mut value = self.value_as(argument, class)?;
                // What a pointer points to cannot be read while it is lent.
                if has_pointers && self.reads_variable(argument) {
                    value = self.named("given", value);
                }
                let _ = write!(text, ", {}", value.text);
            }
        }
        text.push(')');
        match result.filter(|result| !self.scopes.used[result.index()].is_empty()) {
            None => self.line(&format!("{text};")),
            Some(result) => {
                let value = Value::whole(text, class);
                if self.is_used_next(id, result) && self.translation.is_pure(function) {
                    self.bound.insert(result, value);
                    return Ok(());
                }
                self.bind(result, value)?;
            }
        }
        Ok(())
    }

    /// Whether the text of a value names one of the function's variables.
    pub(super) fn reads_variable(&self, expression: Handle<Expression>) -> bool {
        if self.bound.contains_key(&expression) {
            return false;
        }
        let found = &self.function.expressions[expression];
        if let Expression::Load { pointer } = *found {
            return variable(self.function, pointer).is_some() || self.reads_variable(pointer);
        }
        let mut reads = false;
        operands(found, |operand| reads |= self.reads_variable(operand));
        reads
    }

    /// Whether the only use of a call's result is in the statement right after it.
    fn is_used_next(&self, call: Id, result: Handle<Expression>) -> bool {
        if self.function.named_expressions.contains_key(&result) {
            return false;
        }
        match (self.scopes.used[result.index()].as_slice(), self.scopes.calls.get(&call)) {
            ([only], Some(call)) => only.scope == call.scope && only.statement == call.statement + 1,
            _ => false,
        }
    }

    /// Finds the variables that naga makes for `a && b` and `a || b`.
    fn find_logic(&mut self, block: &'a Block) {
        let statements: Vec<&Statement> = block.iter().collect();
        for pair in statements.windows(2) {
            let Some(logic) = self.as_logic_before(pair[0], pair[1]) else { continue };
            self.logic.insert(logic.variable);
        }
        for statement in block.iter() {
            super::blocks(statement).for_each(|block| self.find_logic(block));
        }
    }

    fn as_logic_before(&self, statement: &'a Statement, next: &'a Statement) -> Option<Logic<'a>> {
        let logic = logic(self.function, statement)?;
        let local = &self.function.local_variables[logic.variable];
        let accesses = self.scopes.accesses.get(&Variable::Local(logic.variable))?;
        if local.name.is_some() || accesses.len() != 3 {
            return None;
        }
        let Statement::Emit(range) = next else { return None };
        let is_load = |expression: Handle<Expression>| match self.function.expressions[expression] {
            Expression::Load { pointer } => {
                matches!(self.function.expressions[pointer], Expression::LocalVariable(l) if l == logic.variable)
            }
            _ => false,
        };
        if !range.clone().any(is_load) {
            return None;
        }
        let condition_varies = !self.class(logic.condition).is_uniform();
        for (index, statement) in logic.accept.iter().enumerate() {
            if let Statement::If { .. } = statement {
                self.as_logic_before(statement, logic.accept.get(index + 1)?)?;
            }
            let Statement::Emit(range) = statement else { continue };
            for expression in range.clone() {
                let pointer = super::is_pointer(self.translation.shader, self.info, expression);
                if !pointer && !self.is_inline(expression) {
                    return None;
                }
                let loads = matches!(self.function.expressions[expression], Expression::Load { pointer }
                    if variable(self.function, pointer).is_none());
                // The right side is then computed for lanes that must not come to it: harmless, unless it reads memory.
                if loads && condition_varies {
                    return None;
                }
            }
        }
        Some(logic)
    }

    fn as_logic(&self, statement: &'a Statement) -> Option<Logic<'a>> {
        logic(self.function, statement).filter(|logic| self.logic.contains(&logic.variable))
    }

    /// Remembers `a && b` or `a || b` as one expression.
    fn fuse(&mut self, found: &Logic<'a>) -> Result<()> {
        let name = Variable::Local(found.variable);
        let class = self.classes.variables.get(&name).cloned().unwrap_or(Class::Uniform);
        let class = if class.is_uniform() { Class::Uniform } else { Class::Varying };
        for statement in found.accept.iter() {
            if let Some(inner) = self.as_logic(statement) {
                self.fuse(&inner)?;
            }
        }
        let left = self.value_as(found.left, &class)?;
        let right = self.value_as(found.right, &class)?;
        let (symbol, rank) = match (&class, found.and) {
            (Class::Uniform, true) => ("&&", Rank::And),
            (Class::Uniform, false) => ("||", Rank::Or),
            (_, true) => ("&", Rank::BitAnd),
            (_, false) => ("|", Rank::BitOr),
        };
        let value = left.operator(symbol, rank, &right, class);
        self.fused.insert(found.variable, value);
        Ok(())
    }
}

const SWITCH_BREAK: &str = "a `break` by which only some invocations leave a `switch`";

/// Whether nothing happens between two places.
fn together(a: Position, b: Position) -> bool {
    a.scope == b.scope && a.statement == b.statement
}

/// A condition or selector as it stands before a block: Rust takes a bare struct's brace for the block's.
fn head(text: &str) -> String {
    if text.contains('{') { format!("({text})") } else { text.to_owned() }
}

/// The label as a literal; none for the default.
fn number(label: SwitchValue) -> Option<Value> {
    match label {
        SwitchValue::I32(value) => literal(naga::Literal::I32(value)),
        SwitchValue::U32(value) => literal(naga::Literal::U32(value)),
        SwitchValue::Default => None,
    }
}

/// `variable = left && right` or `variable = left || right` as naga writes it: `if left { variable = right } else {
/// variable = false }`, or `if !left { variable = right } else { variable = true }`.
struct Logic<'a> {
    variable: Handle<LocalVariable>,
    and: bool,
    condition: Handle<Expression>,
    left: Handle<Expression>,
    right: Handle<Expression>,
    accept: &'a Block,
}

fn logic<'a>(function: &Function, statement: &'a Statement) -> Option<Logic<'a>> {
    let Statement::If { condition, ref accept, ref reject } = *statement else { return None };
    let local = |pointer: Handle<Expression>| match function.expressions[pointer] {
        Expression::LocalVariable(local) => Some(local),
        _ => None,
    };
    let [Statement::Store { pointer, value }] = &**reject else { return None };
    let variable = local(*pointer)?;
    let Expression::Literal(naga::Literal::Bool(otherwise)) = function.expressions[*value] else { return None };
    let (Statement::Store { pointer, value: right }, before) = (&**accept).split_last()? else { return None };
    if local(*pointer)? != variable
        || !before.iter().all(|statement| matches!(statement, Statement::Emit(_) | Statement::If { .. }))
    {
        return None;
    }
    let left = match function.expressions[condition] {
        Expression::Unary { op: naga::UnaryOperator::LogicalNot, expr } if otherwise => expr,
        _ if otherwise => return None,
        _ => condition,
    };
    Some(Logic { variable, and: !otherwise, condition, left, right: *right, accept })
}
