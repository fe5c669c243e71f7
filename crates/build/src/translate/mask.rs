//! Masks of active lanes: where lanes diverge, and which stores must keep the values of inactive ones.

use naga::{Expression, Handle};

use super::function::Body;
use super::scopes::{Id, ScopeId, ScopeKind, Variable, variable};

/// A variable with the mask of the active lanes of a scope.
#[derive(Clone, Debug)]
pub(super) struct Mask {
    pub(super) scope: ScopeId,
    pub(super) name: String,
}

impl Body<'_, '_> {
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
}
