//! Variables and named values: where each is declared and assigned.

use naga::{Expression, Handle, Statement};

use super::Unsupported;
use super::expression::Result;
use super::function::Body;
use super::scopes::{Position, Variable, statement_id};
use super::types::{convert, zero};
use super::uniformity::Class;
use super::value::Value;

impl Body<'_, '_> {
    /// Declares the variables of this scope that are first used by this statement and not declared by their first
    /// store.
    pub(super) fn declare(&mut self, statement: &Statement) -> Result<()> {
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

    /// Binds an expression to a name, unless its only use is in its own statement.
    pub(super) fn emit(&mut self, expression: Handle<Expression>) -> Result<()> {
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

    pub(super) fn assign(&mut self, pointer: Handle<Expression>, value: Handle<Expression>) -> Result<()> {
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
