//! Uniformity analysis: which values are the same for neighbouring invocations.
//!
//! Neighbours along local x are the lanes of a vector. A value is uniform unless it depends on the lane index or on
//! memory at a varying address, or was assigned under varying control flow. The analysis starts from "everything is
//! uniform" and weakens it to a fixed point.

use std::collections::{HashMap, HashSet};

use naga::{AddressSpace, BinaryOperator, Expression, Function, Handle, Literal, MathFunction, Scalar, ScalarKind};
use naga::{Statement, SwizzleComponent, TypeInner};

use super::scopes::{Access, AccessKind, ExitKind, Id, ScopeId, ScopeKind, Scopes, Variable, statement_id, variable};
use super::variants::Variants;
use super::{Shader, Unsupported};

/// The variation of a value between lanes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Class {
    /// Not known yet, while the analysis runs.
    Unknown,
    /// The same in all.
    Uniform,
    /// An integer: lane 0's, plus the lane index.
    Linear,
    /// `min` of a linear and a uniform value.
    Clamped,
    /// A vector whose components have classes of their own.
    Mixed(Vec<Class>),
    /// Anything.
    Varying,
}

impl Class {
    /// The class of a value that may have either class.
    pub(super) fn join(self, other: Class) -> Class {
        match (self, other) {
            (Class::Unknown, known) | (known, Class::Unknown) => known,
            (a, b) if a == b => a,
            _ => Class::Varying,
        }
    }

    /// Whether all lanes are equal, as far as is known.
    pub(super) fn is_uniform(&self) -> bool {
        matches!(self, Class::Uniform | Class::Unknown)
    }

    /// The class in a variable, where a vector has one class for all components.
    pub(super) fn stored(self) -> Class {
        if matches!(self, Class::Mixed(_)) { Class::Varying } else { self }
    }

    /// The class of a vector with components of these classes.
    pub(super) fn mixed(components: Vec<Class>) -> Class {
        match components.first() {
            Some(first)
                if matches!(first, Class::Uniform | Class::Varying) && components.iter().all(|c| c == first) =>
            {
                first.clone()
            }
            _ => Class::Mixed(components),
        }
    }
}

/// The analysis of a function.
#[derive(Clone, Debug)]
pub(super) struct Classes {
    pub(super) expressions: Vec<Class>,
    /// The classes of the function's arguments.
    pub(super) arguments: Vec<Class>,
    /// The classes of each call's arguments; for pointers, those of the pointees after the call.
    pub(super) calls: HashMap<Id, Vec<Class>>,
    /// The classes of variables.
    pub(super) variables: HashMap<Variable, Class>,
    /// The statements with varying control flow: `if` and `switch` with varying conditions, loops that lanes exit in
    /// different iterations.
    pub(super) varying: HashSet<Id>,
    /// Loops whose lanes `continue` in different iterations.
    pub(super) varying_body: HashSet<Id>,
    pub(super) result: Class,
}

/// Analyses a function for arguments of these classes; for a pointer, the class of its pointee.
pub(super) fn analyse<'a>(
    shader: &'a Shader,
    function: &'a Function,
    info: &'a naga::valid::FunctionInfo,
    scopes: &Scopes,
    arguments: &[Class],
    variants: &mut Variants<'a>,
) -> Result<Classes, Unsupported> {
    let mut classes = Classes {
        expressions: vec![Class::Uniform; function.expressions.len()],
        arguments: arguments.to_vec(),
        calls: HashMap::new(),
        variables: HashMap::new(),
        varying: HashSet::new(),
        varying_body: HashSet::new(),
        result: Class::Uniform,
    };
    for (index, class) in arguments.iter().enumerate() {
        classes.variables.insert(Variable::Argument(index as u32), class.clone());
    }
    for (local, declared) in function.local_variables.iter() {
        let variable = Variable::Local(local);
        // A variable read before it is written has its initial value, which is uniform.
        let (_, fresh) = scopes.home(variable, declared.init.is_some());
        classes.variables.insert(variable, if fresh { Class::Unknown } else { Class::Uniform });
    }
    let mut analysis = Analysis { shader, function, info, scopes, arguments, classes, call_results: HashMap::new() };
    loop {
        let before = (
            analysis.classes.expressions.clone(),
            analysis.classes.variables.clone(),
            analysis.classes.varying.len() + analysis.classes.varying_body.len(),
            analysis.call_results.clone(),
        );
        analysis.expressions();
        analysis.control(&function.body);
        analysis.exits();
        analysis.calls(&function.body, variants)?;
        analysis.stores();
        let after = (
            analysis.classes.expressions.clone(),
            analysis.classes.variables.clone(),
            analysis.classes.varying.len() + analysis.classes.varying_body.len(),
            analysis.call_results.clone(),
        );
        if before == after {
            break;
        }
    }
    analysis.result();
    Ok(analysis.classes)
}

struct Analysis<'a, 'b> {
    shader: &'a Shader,
    function: &'a Function,
    info: &'a naga::valid::FunctionInfo,
    scopes: &'b Scopes,
    arguments: &'b [Class],
    classes: Classes,
    call_results: HashMap<Handle<Expression>, Class>,
}

impl<'a> Analysis<'a, '_> {
    fn class(&self, expression: Handle<Expression>) -> Class {
        self.classes.expressions[expression.index()].clone()
    }

    fn inner(&self, expression: Handle<Expression>) -> &TypeInner {
        self.info[expression].ty.inner_with(&self.shader.module.types)
    }

    fn is_integer(&self, expression: Handle<Expression>) -> bool {
        matches!(
            *self.inner(expression),
            TypeInner::Scalar(Scalar { kind: ScalarKind::Uint | ScalarKind::Sint, width: 4 })
        )
    }

    fn expressions(&mut self) {
        for (handle, expression) in self.function.expressions.iter() {
            self.classes.expressions[handle.index()] = self.expression(handle, expression);
        }
    }

    fn all_uniform(&self, operands: impl IntoIterator<Item = Handle<Expression>>) -> Class {
        let mut all = Class::Uniform;
        for operand in operands {
            match self.class(operand) {
                Class::Unknown => all = Class::Unknown,
                Class::Uniform => {}
                _ => return Class::Varying,
            }
        }
        all
    }

    fn expression(&self, handle: Handle<Expression>, expression: &Expression) -> Class {
        match *expression {
            Expression::Compose { ty, ref components } => {
                if !matches!(self.shader.module.types[ty].inner, TypeInner::Vector { .. }) {
                    return self.all_uniform(components.iter().copied());
                }
                let parts = components.iter().flat_map(|&component| {
                    let size = match *self.inner(component) {
                        TypeInner::Vector { size, .. } => size as usize,
                        _ => 1,
                    };
                    match self.class(component) {
                        Class::Mixed(parts) => parts,
                        class => vec![class; size],
                    }
                });
                let parts: Vec<Class> = parts.collect();
                if parts.contains(&Class::Unknown) { Class::Unknown } else { Class::mixed(parts) }
            }
            Expression::Access { base, index } => self.all_uniform([base, index]),
            Expression::AccessIndex { base, index } => match self.class(base) {
                Class::Mixed(parts) => parts.get(index as usize).cloned().unwrap_or(Class::Varying),
                class => class,
            },
            Expression::Splat { value, .. } => self.all_uniform([value]),
            Expression::Swizzle { size, vector, pattern } => match self.class(vector) {
                Class::Mixed(parts) => {
                    let part = |component: &SwizzleComponent| parts[component.index() as usize].clone();
                    Class::mixed(pattern[..size as usize].iter().map(part).collect())
                }
                class => class,
            },
            Expression::FunctionArgument(index) => match self.inner(handle) {
                TypeInner::Pointer { .. } | TypeInner::ValuePointer { .. } => Class::Uniform,
                _ => self.arguments[index as usize].clone(),
            },
            Expression::Load { pointer } => self.load(pointer),
            Expression::Binary { op, left, right } => self.binary(op, left, right),
            Expression::Unary { expr, .. } => self.all_uniform([expr]),
            Expression::Select { condition, accept, reject } => self.all_uniform([condition, accept, reject]),
            Expression::Relational { argument, .. } => self.all_uniform([argument]),
            Expression::Math { fun, arg, arg1, arg2, arg3 } => self.math(handle, fun, arg, arg1, arg2, arg3),
            Expression::As { expr, convert, .. } => match self.class(expr) {
                Class::Linear if self.is_integer(handle) && convert == Some(4) => Class::Linear,
                Class::Linear if self.is_integer(handle) && convert.is_none() => Class::Linear,
                class if class.is_uniform() => class,
                _ => Class::Varying,
            },
            Expression::CallResult(_) => self.call_results.get(&handle).cloned().unwrap_or(Class::Unknown),
            Expression::AtomicResult { .. } => Class::Varying,
            _ => Class::Uniform,
        }
    }

    /// The class of a pointee, which varies if the address does.
    fn load(&self, mut pointer: Handle<Expression>) -> Class {
        let mut class = Class::Uniform;
        let mut part = false;
        loop {
            match self.function.expressions[pointer] {
                Expression::Access { base, index } => {
                    if !self.class(index).is_uniform() {
                        class = Class::Varying;
                    }
                    part = true;
                    pointer = base;
                }
                Expression::AccessIndex { base, .. } => {
                    part = true;
                    pointer = base;
                }
                Expression::LocalVariable(_) | Expression::FunctionArgument(_) => break,
                Expression::GlobalVariable(global)
                    if self.shader.module.global_variables[global].space == AddressSpace::Private =>
                {
                    return Class::Varying;
                }
                _ => return class,
            }
        }
        let held = variable(self.function, pointer).and_then(|variable| self.classes.variables.get(&variable).cloned());
        match held.unwrap_or(Class::Varying) {
            Class::Unknown => Class::Unknown,
            Class::Uniform => class,
            _ if part => Class::Varying,
            held => held,
        }
    }

    fn binary(&self, op: BinaryOperator, left: Handle<Expression>, right: Handle<Expression>) -> Class {
        use Class::{Clamped, Linear, Uniform, Varying};
        match (op, self.class(left), self.class(right)) {
            (_, Class::Unknown, _) | (_, _, Class::Unknown) => Class::Unknown,
            (_, Uniform, Uniform) => Uniform,
            (BinaryOperator::Add, Linear, Uniform) | (BinaryOperator::Add, Uniform, Linear) => Linear,
            (BinaryOperator::Subtract, Linear, Uniform) => Linear,
            (BinaryOperator::Add, Clamped, Uniform) | (BinaryOperator::Add, Uniform, Clamped) => Clamped,
            (BinaryOperator::Subtract, Clamped, Uniform) => Clamped,
            _ => Varying,
        }
    }

    fn is_zero(&self, expression: Handle<Expression>) -> bool {
        matches!(self.function.expressions[expression], Expression::Literal(Literal::U32(0)))
    }

    fn math(
        &self,
        handle: Handle<Expression>,
        fun: MathFunction,
        arg: Handle<Expression>,
        arg1: Option<Handle<Expression>>,
        arg2: Option<Handle<Expression>>,
        arg3: Option<Handle<Expression>>,
    ) -> Class {
        let operands = [Some(arg), arg1, arg2, arg3].into_iter().flatten();
        let classes: Vec<Class> = operands.clone().map(|operand| self.class(operand)).collect();
        let unsigned = matches!(*self.inner(handle), TypeInner::Scalar(Scalar { kind: ScalarKind::Uint, width: 4 }));
        match (fun, classes.as_slice()) {
            (MathFunction::Min, [Class::Linear, Class::Uniform] | [Class::Uniform, Class::Linear]) if unsigned => {
                Class::Clamped
            }
            (MathFunction::Clamp, [Class::Linear, Class::Uniform, Class::Uniform])
                if unsigned && arg1.is_some_and(|low| self.is_zero(low)) =>
            {
                Class::Clamped
            }
            _ => self.all_uniform(operands),
        }
    }

    /// Finds `if` and `switch` statements with varying conditions.
    fn control(&mut self, block: &naga::Block) {
        for statement in block.iter() {
            match *statement {
                Statement::If { condition: selector, .. } | Statement::Switch { selector, .. }
                    if !self.class(selector).is_uniform() =>
                {
                    self.classes.varying.insert(statement_id(statement));
                }
                Statement::Loop { break_if: Some(condition), .. } if !self.class(condition).is_uniform() => {
                    self.classes.varying.insert(statement_id(statement));
                }
                _ => {}
            }
            super::blocks(statement).for_each(|block| self.control(block));
        }
    }

    /// Whether only some of the lanes in the parent scope may be in this scope.
    fn divides(&self, scope: ScopeId) -> bool {
        match self.scopes.tree[scope].kind {
            ScopeKind::Branch(id) | ScopeKind::Loop(id) => self.classes.varying.contains(&id),
            ScopeKind::Body(id) => self.classes.varying_body.contains(&id),
            _ => false,
        }
    }

    /// Finds loops that lanes exit or continue in different iterations.
    fn exits(&mut self) {
        for exit in &self.scopes.exits {
            let inside = self.scopes.ancestors(exit.scope).take_while(|&scope| scope != exit.target);
            let inside: Vec<ScopeId> = inside.collect();
            if !inside.iter().any(|&scope| self.divides(scope)) {
                continue;
            }
            if exit.kind == ExitKind::Continue {
                if let ScopeKind::Body(id) = self.scopes.tree[exit.target].kind {
                    // Lanes that continue early are inactive until the body ends.
                    self.classes.varying_body.insert(id);
                    self.classes.varying.insert(id);
                }
                continue;
            }
            for &scope in inside.iter().chain([&exit.target]) {
                match self.scopes.tree[scope].kind {
                    ScopeKind::Loop(id) => self.classes.varying.insert(id),
                    _ => continue,
                };
            }
        }
    }

    /// The nearest scope around, or this one, that only some lanes may be in.
    pub(super) fn region(&self, scope: ScopeId) -> ScopeId {
        self.scopes.ancestors(scope).find(|&scope| self.divides(scope)).unwrap_or(0)
    }

    fn calls(&mut self, block: &naga::Block, variants: &mut Variants<'a>) -> Result<(), Unsupported> {
        for statement in block.iter() {
            if let Statement::Call { function, ref arguments, result } = *statement {
                let id = statement_id(statement);
                let mut given: Vec<Class> = arguments.iter().map(|&argument| self.argument(argument)).collect();
                if given.contains(&Class::Unknown) {
                    continue;
                }
                // The function may raise the class of a variable, which may in turn raise the function's.
                let analysed = loop {
                    let analysed = variants.analyse(self.shader, function, &given)?;
                    let raised: Vec<Class> = (0..given.len() as u32)
                        .map(|index| {
                            let held = analysed.variables.get(&Variable::Argument(index)).cloned();
                            held.unwrap_or(Class::Varying)
                        })
                        .collect();
                    if raised == given {
                        break analysed;
                    }
                    given = raised;
                };
                if let Some(result) = result {
                    self.call_results.insert(result, analysed.result.clone());
                }
                self.classes.calls.insert(id, given);
            }
            for block in super::blocks(statement) {
                self.calls(block, variants)?;
            }
        }
        Ok(())
    }

    /// The class of an argument; for a pointer, that of its pointee.
    fn argument(&self, argument: Handle<Expression>) -> Class {
        match *self.inner(argument) {
            TypeInner::Pointer { .. } | TypeInner::ValuePointer { .. } => {
                let held = variable(self.function, argument).and_then(|v| self.classes.variables.get(&v).cloned());
                held.filter(|held| *held != Class::Unknown).unwrap_or(Class::Uniform)
            }
            _ => self.class(argument),
        }
    }

    fn stores(&mut self) {
        for (&variable, accesses) in &self.scopes.accesses {
            for access in accesses {
                let stored = match access.kind {
                    AccessKind::Read => continue,
                    AccessKind::Write { value, pointer, whole } => {
                        let class = self.class(value).stored();
                        let indices = self.pointer_class(pointer);
                        if !indices.is_uniform() || (!whole && !class.is_uniform()) { Class::Varying } else { class }
                    }
                    AccessKind::Call { call, argument } => match self.classes.calls.get(&call) {
                        Some(classes) => classes[argument].clone(),
                        None => continue,
                    },
                };
                let stored = if self.reaches_all_readers(variable, accesses, access) { stored } else { Class::Varying };
                let held = self.classes.variables.get(&variable).cloned().unwrap_or(Class::Varying);
                self.classes.variables.insert(variable, held.join(stored));
            }
        }
    }

    fn pointer_class(&self, mut pointer: Handle<Expression>) -> Class {
        loop {
            match self.function.expressions[pointer] {
                Expression::Access { base, index } => {
                    if !self.class(index).is_uniform() {
                        return Class::Varying;
                    }
                    pointer = base;
                }
                Expression::AccessIndex { base, .. } => pointer = base,
                _ => return Class::Uniform,
            }
        }
    }

    /// Whether only the lanes that run this store may read the stored value, which can then be uniform.
    fn reaches_all_readers(&self, variable: Variable, accesses: &[Access], store: &Access) -> bool {
        let region = self.region(store.position.scope);
        if region == 0 {
            return true;
        }
        if matches!(variable, Variable::Argument(_)) {
            return false;
        }
        let reads = |access: &&Access| !matches!(access.kind, AccessKind::Write { .. });
        if !accesses.iter().filter(reads).all(|read| self.scopes.contains(region, read.position.scope)) {
            return false;
        }
        let initialised = match variable {
            Variable::Local(local) => self.function.local_variables[local].init.is_some(),
            Variable::Argument(_) => true,
        };
        let (home, _) = self.scopes.home(variable, initialised);
        // A loop in between would reactivate lanes that were inactive at the store.
        let between = self.scopes.ancestors(region).skip(1).take_while(|&scope| scope != home);
        self.scopes.contains(home, region)
            && !between.into_iter().any(|scope| matches!(self.scopes.tree[scope].kind, ScopeKind::Loop(_)))
    }

    fn result(&mut self) {
        let mut result: Option<Class> = None;
        for exit in self.scopes.exits.iter().filter(|exit| exit.kind == ExitKind::Return) {
            let Some(value) = exit.value else { continue };
            let class = if self.region(exit.scope) == 0 { self.class(value) } else { Class::Varying };
            result = Some(match result {
                Some(earlier) => earlier.join(class),
                None => class,
            });
        }
        self.classes.result = match result {
            Some(Class::Mixed(_)) => Class::Varying,
            Some(class) => class,
            None => Class::Uniform,
        };
    }
}
