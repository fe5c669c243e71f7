//! Entry points with barriers: the code between two barriers becomes a loop over the vectors of the workgroup, and each
//! variable that lives across a barrier becomes an array with one element per vector.
//!
//! WGSL requires that all invocations of a workgroup reach a barrier together, so control flow around a barrier is
//! decided once for the workgroup, by its first vector.

use naga::{Block, Handle, LocalVariable, Statement};

use super::Unsupported;
use super::entry::builtin;
use super::expression::Result;
use super::function::{Body, Workgroup};
use super::mask::Mask;
use super::scopes::{ExitKind, ScopeId, ScopeKind, Variable, block_id, statement_id};
use super::translation::{Instance, Translation};
use super::types::{convert, zero};
use super::uniformity::Class;
use super::value::Value;
use crate::reflect::EntryPoint;

/// Whether a block, or a block nested in it, has a barrier.
pub(super) fn has_barrier(block: &Block) -> bool {
    block.iter().any(is_barrier_in)
}

fn is_barrier_in(statement: &Statement) -> bool {
    matches!(statement, Statement::ControlBarrier(_) | Statement::MemoryBarrier(_))
        || super::blocks(statement).any(has_barrier)
}

/// The entry point as a function that runs one workgroup.
pub(super) fn translate<'a>(
    translation: &mut Translation<'a>,
    instance: &Instance<'a>,
    entry_point: &EntryPoint,
) -> Result<String> {
    let function = instance.function;
    let [x, y, z] = entry_point.workgroup_size;
    let arguments: Result<Vec<String>> =
        function.arguments.iter().map(|argument| builtin(argument, entry_point)).collect();
    let mut body = Body::new(translation, instance);
    let arguments = arguments?.into_iter().zip(body.arguments.clone());
    let arguments: String = arguments.map(|(value, name)| format!("let {name} = {value};\n")).collect();
    let of_first = arguments.clone();
    body.workgroup = Some(Workgroup { size: [x, y, z], arguments, segment: None });

    let mut segments = Vec::new();
    body.segments(&function.body, &mut segments);
    for (handle, local) in function.local_variables.iter() {
        let Some(accesses) = body.scopes.accesses.get(&Variable::Local(handle)) else { continue };
        let within = |&(start, end): &(usize, usize)| {
            accesses.iter().all(|access| (start..=end).contains(&access.position.order))
        };
        let (_, fresh) = body.scopes.home(Variable::Local(handle), local.init.is_some());
        // A value that is read before it is assigned may be that of the previous iteration.
        let outlives = !fresh && accesses.first().is_some_and(|access| body.repeats(access.position.scope));
        if outlives || !segments.iter().any(within) {
            body.spread(handle)?;
        }
    }
    body.block(&function.body, 0)?;
    let Body { out, prologue, .. } = body;
    Ok(format!(
        "#[inline(always)]\nfn {}<S: Simd, const CHECKED: bool>(simd: S, shader: &Shader<'_, CHECKED>, \
         workgroup: Workgroup, order: Order) {{\nlet at = Invocations::FIRST;\n{of_first}{prologue}{out}}}\n",
        instance.name,
    ))
}

impl<'a> Body<'a, '_> {
    /// Spreads a variable to one element per vector.
    fn spread(&mut self, handle: Handle<LocalVariable>) -> Result<()> {
        let module = &self.translation.shader.module;
        let local = &self.function.local_variables[handle];
        let inner = &module.types[local.ty].inner;
        let class = self.classes.variables.get(&Variable::Local(handle)).cloned().unwrap_or(Class::Uniform);
        let value = match local.init {
            Some(init) => Some(self.value(init)?),
            None => zero(module, inner).map(Value::uniform),
        };
        let Some(value) = value else {
            let span = self.function.local_variables.get_span(handle);
            return Err(Unsupported::new(span, "a variable of this type"));
        };
        let value = convert(value, inner, &class);
        let name = self.locals[&handle].clone();
        self.declare_spread(&name, &value.text);
        self.locals.insert(handle, format!("{name}[at.index]"));
        self.declared.insert(handle);
        Ok(())
    }

    /// Declares an array with one element per vector.
    pub(super) fn declare_spread(&mut self, name: &str, value: &str) {
        let size = self.workgroup.as_ref().map_or([1; 3], |workgroup| workgroup.size);
        self.prologue.push_str(&format!("let mut {name} = [{value}; wgsl::most_vectors({size:?})];\n"));
    }

    /// Whether the statement is decided for the workgroup as a whole: it contains a barrier, or it exits a construct
    /// that contains a barrier or is followed by one.
    fn is_level(&self, statement: &Statement) -> bool {
        if is_barrier_in(statement) {
            return true;
        }
        let end = self.scopes.extents.get(&statement_id(statement)).map_or(0, |&(_, end)| end);
        let is_direct = match statement {
            Statement::Break | Statement::Continue => true,
            Statement::Return { .. } => self.barrier_follows(self.scope, end),
            _ => false,
        };
        if is_direct {
            return true;
        }
        let blocks = super::blocks(statement).map(block_id).chain([statement_id(statement)]);
        let inside: Vec<usize> = blocks.filter_map(|id| self.scopes.of.get(&id).copied()).collect();
        self.scopes.exits.iter().any(|exit| {
            inside.iter().any(|&block| self.scopes.contains(block, exit.scope))
                && match exit.kind {
                    ExitKind::Return => self.barrier_follows(self.scope, end),
                    _ => !inside.iter().any(|&block| self.scopes.contains(block, exit.target)),
                }
        })
    }

    /// Whether the workgroup may reach a barrier after a position: behind it, or in a loop around it.
    fn barrier_follows(&self, scope: ScopeId, order: usize) -> bool {
        let loops = self.scopes.ancestors(scope).filter_map(|scope| match self.scopes.tree[scope].kind {
            ScopeKind::Loop(id) => self.scopes.extents.get(&id).copied(),
            _ => None,
        });
        let loops: Vec<(usize, usize)> = loops.collect();
        let mut barriers = self.scopes.barriers.iter();
        barriers.any(|barrier| *barrier > order || loops.iter().any(|(start, end)| (start..=end).contains(&barrier)))
    }

    /// Whether a loop around a scope contains a barrier.
    fn repeats(&self, scope: ScopeId) -> bool {
        let mut around = self.scopes.ancestors(scope);
        around.any(|scope| match self.scopes.tree[scope].kind {
            ScopeKind::Loop(id) => self.scopes.extents.get(&id).is_some_and(|&(start, end)| {
                self.scopes.barriers.iter().any(|barrier| (start..=end).contains(barrier))
            }),
            _ => false,
        })
    }

    /// The ranges of positions without a barrier.
    fn segments(&mut self, block: &'a Block, segments: &mut Vec<(usize, usize)>) {
        let outer = self.scope;
        self.scope = self.scopes.of.get(&block_id(block)).copied().unwrap_or(0);
        let mut current: Option<(usize, usize)> = None;
        for statement in block.iter() {
            if self.is_level(statement) {
                segments.extend(current.take());
                super::blocks(statement).for_each(|block| self.segments(block, segments));
            } else if let Some(&(start, end)) = self.scopes.extents.get(&statement_id(statement)) {
                current = Some((current.map_or(start, |(start, _)| start), end));
            }
        }
        segments.extend(current);
        self.scope = outer;
    }

    /// The statements of a block that contains a barrier or runs for the workgroup as a whole.
    pub(super) fn workgroup_statements(&mut self, statements: &[&'a Statement]) -> Result<()> {
        let mut segment: Vec<&'a Statement> = Vec::new();
        for &statement in statements {
            if !self.is_level(statement) {
                segment.push(statement);
                continue;
            }
            self.segment(&std::mem::take(&mut segment))?;
            if matches!(statement, Statement::ControlBarrier(_) | Statement::MemoryBarrier(_)) {
                continue;
            }
            let differs = match statement {
                Statement::If { condition, .. } => !self.class(*condition).is_uniform(),
                Statement::Switch { .. } => true,
                _ => self.classes.varying.contains(&statement_id(statement)),
            };
            if differs {
                let construct = match statement {
                    Statement::Switch { .. } => "a `switch` with a barrier in it, or before one that it leaves,",
                    _ => "control flow that differs between invocations, around or before a barrier,",
                };
                return self.fail(statement, construct);
            }
            self.statement(statement)?;
        }
        self.segment(&segment)
    }

    /// Statements without a barrier, in a loop over the vectors of the workgroup.
    fn segment(&mut self, statements: &[&'a Statement]) -> Result<()> {
        let Some(workgroup) = self.workgroup.clone() else { return Ok(()) };
        let extents: Vec<(usize, usize)> = statements
            .iter()
            .filter_map(|&statement| self.scopes.extents.get(&statement_id(statement)).copied())
            .collect();
        let (Some(&(start, _)), Some(&(_, end))) = (extents.first(), extents.last()) else { return Ok(()) };
        let before = self.out.len();
        let [x, y, z] = workgroup.size;
        self.line(&format!("wgsl::for_each_vector::<S>([{x}, {y}, {z}], order, #[inline(always)] |at| {{"));
        self.line(&workgroup.arguments);
        let masks = self.masks.len();
        if self.masked || self.masked_returns {
            let first = if self.masked {
                format!("Bool::first(simd, {x} - at.x)")
            } else {
                "Bool::splat(simd, true)".to_owned()
            };
            self.line(&format!("let mut active = {first};"));
            self.masks.push(Mask { scope: 0, name: "active".to_owned() });
        }
        let start_of_body = self.out.len();
        if let Some(workgroup) = &mut self.workgroup {
            workgroup.segment = Some((start, end));
        }
        self.statements(statements)?;
        if let Some(workgroup) = &mut self.workgroup {
            workgroup.segment = None;
        }
        self.masks.truncate(masks);
        if self.out.len() == start_of_body {
            // The evaluated expressions are used elsewhere only.
            self.out.truncate(before);
            return Ok(());
        }
        self.line("});");
        Ok(())
    }
}
