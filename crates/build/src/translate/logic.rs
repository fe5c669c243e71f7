//! Recovers `a && b` and `a || b`, which naga lowers to `if`s.

use naga::{Block, Expression, Function, Handle, LocalVariable, Statement};

use super::expression::Result;
use super::function::Body;
use super::scopes::{Variable, variable};
use super::uniformity::Class;
use super::value::Rank;

/// `variable = left && right` or `variable = left || right` as lowered by naga: `if left { variable = right } else {
/// variable = false }`, or `if !left { variable = right } else { variable = true }`.
pub(super) struct Logic<'a> {
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
    let (Statement::Store { pointer, value: right }, before) = accept.split_last()? else { return None };
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

impl<'a> Body<'a, '_> {
    /// Finds the variables that naga creates for `a && b` and `a || b`.
    pub(super) fn find_logic(&mut self, block: &'a Block) {
        let statements: Vec<&Statement> = block.iter().collect();
        for pair in statements.windows(2) {
            let Some(logic) = self.as_logic_before(pair[0], pair[1]) else { continue };
            self.logic.insert(logic.variable);
        }
        for statement in block.iter() {
            super::blocks(statement).for_each(|block| self.find_logic(block));
        }
    }

    pub(super) fn as_logic_before(&self, statement: &'a Statement, next: &'a Statement) -> Option<Logic<'a>> {
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
                // Fusing evaluates the right side in lanes that must skip it: harmless unless it reads memory.
                if loads && condition_varies {
                    return None;
                }
            }
        }
        Some(logic)
    }

    pub(super) fn as_logic(&self, statement: &'a Statement) -> Option<Logic<'a>> {
        logic(self.function, statement).filter(|logic| self.logic.contains(&logic.variable))
    }

    /// Records `a && b` or `a || b` as one expression.
    pub(super) fn fuse(&mut self, found: &Logic<'a>) -> Result<()> {
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
