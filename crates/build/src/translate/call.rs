//! Calls of functions.

use std::fmt::Write as _;

use naga::{Expression, Function, Handle, Statement};

use super::expression::Result;
use super::function::Body;
use super::place::{Place, assignable};
use super::scopes::{Id, operands, statement_id, variable};
use super::value::{Rank, Value};

impl<'a> Body<'a, '_> {
    pub(super) fn call(
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
                // A pointee cannot be read while it is mutably borrowed.
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
    pub(super) fn is_used_next(&self, call: Id, result: Handle<Expression>) -> bool {
        if self.function.named_expressions.contains_key(&result) {
            return false;
        }
        match (self.scopes.used[result.index()].as_slice(), self.scopes.calls.get(&call)) {
            ([only], Some(call)) => only.scope == call.scope && only.statement == call.statement + 1,
            _ => false,
        }
    }
}
