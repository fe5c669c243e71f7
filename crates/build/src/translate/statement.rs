//! The statements of a block, one after the other.

use naga::{Block, Statement};

use super::expression::Result;
use super::function::Body;
use super::scopes::{ExitKind, Id, Position, ScopeId, ScopeKind, block_id, statement_id};

impl<'a> Body<'a, '_> {
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
}
