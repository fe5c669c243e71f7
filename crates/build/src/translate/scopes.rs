//! A function's blocks as a tree, with the positions of evaluations, accesses and exits.

use std::collections::{HashMap, HashSet};

use naga::{Block, Expression, Function, Handle, LocalVariable, Span, Statement};

/// An index into [`Scopes::tree`].
pub(super) type ScopeId = usize;

/// A statement or block, by its address: the function is not changed while it is translated.
pub(super) type Id = usize;

/// A block, or a loop with its two blocks.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) parent: Option<ScopeId>,
    pub(super) kind: ScopeKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScopeKind {
    Function,
    /// A block in braces, which always runs.
    Plain,
    /// A branch of this `if` or a case of this `switch`.
    Branch(Id),
    /// This `switch`, around its cases.
    Switch(Id),
    /// This loop, around its body and its `continuing` block.
    Loop(Id),
    /// The body of this loop.
    Body(Id),
    /// The `continuing` block of this loop.
    Continuing(Id),
}

/// A position in a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) scope: ScopeId,
    /// The number of the statement within its block; consecutive evaluations share one.
    pub(super) statement: usize,
    /// Ascending in program order.
    pub(super) order: usize,
}

/// The root of a pointer into a function's own memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Variable {
    Local(Handle<LocalVariable>),
    /// A pointer argument of the function.
    Argument(u32),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) position: Position,
    pub(super) kind: AccessKind,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum AccessKind {
    Read,
    /// `whole` if it replaces the whole value.
    Write {
        value: Handle<Expression>,
        pointer: Handle<Expression>,
        whole: bool,
    },
    /// Passed to a function as this argument: read and perhaps written.
    Call {
        call: Id,
        argument: usize,
    },
}

/// An early exit from a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exit {
    pub(super) kind: ExitKind,
    pub(super) scope: ScopeId,
    /// The function, loop or switch that is exited, or the body that is continued.
    pub(super) target: ScopeId,
    pub(super) value: Option<Handle<Expression>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExitKind {
    Return,
    Break,
    Continue,
}

#[derive(Debug)]
pub(super) struct Scopes {
    pub(super) tree: Vec<Scope>,
    /// The scope of a block, or of a loop or switch statement.
    pub(super) of: HashMap<Id, ScopeId>,
    /// Where each expression is evaluated, if it is.
    pub(super) evaluated: Vec<Option<Position>>,
    /// The positions of each value's uses by statements and other values; an index is used wherever a pointer with it
    /// is.
    pub(super) used: Vec<Vec<Position>>,
    /// The first and the last [`Position::order`] within each statement.
    pub(super) extents: HashMap<Id, (usize, usize)>,
    /// Redundant exits: returns without a value at the end of the function, and breaks at the end of their `switch`.
    pub(super) idle: HashSet<Id>,
    /// The source span of each statement.
    spans: HashMap<Id, Span>,
    /// The order of each barrier.
    pub(super) barriers: Vec<usize>,
    /// The position of each call.
    pub(super) calls: HashMap<Id, Position>,
    pub(super) accesses: HashMap<Variable, Vec<Access>>,
    pub(super) exits: Vec<Exit>,
}

pub(super) fn statement_id(statement: &Statement) -> Id {
    std::ptr::from_ref(statement) as usize
}

pub(super) fn block_id(block: &Block) -> Id {
    std::ptr::from_ref(block) as usize
}

/// The root of a pointer expression, if it is in the function's own memory.
pub(super) fn variable(function: &Function, mut pointer: Handle<Expression>) -> Option<Variable> {
    loop {
        match function.expressions[pointer] {
            Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => pointer = base,
            Expression::LocalVariable(local) => return Some(Variable::Local(local)),
            Expression::FunctionArgument(argument) => return Some(Variable::Argument(argument)),
            _ => return None,
        }
    }
}

/// Calls `each` for the operands of an expression.
pub(super) fn operands(expression: &Expression, mut each: impl FnMut(Handle<Expression>)) {
    match *expression {
        Expression::Compose { ref components, .. } => components.iter().copied().for_each(each),
        Expression::Access { base, index } => [base, index].into_iter().for_each(each),
        Expression::AccessIndex { base, .. } => each(base),
        Expression::Splat { value, .. } => each(value),
        Expression::Swizzle { vector, .. } => each(vector),
        Expression::Load { pointer } => each(pointer),
        Expression::Unary { expr, .. } | Expression::As { expr, .. } => each(expr),
        Expression::Binary { left, right, .. } => [left, right].into_iter().for_each(each),
        Expression::Select { condition, accept, reject } => [condition, accept, reject].into_iter().for_each(each),
        Expression::Relational { argument, .. } => each(argument),
        Expression::Math { arg, arg1, arg2, arg3, .. } => {
            [Some(arg), arg1, arg2, arg3].into_iter().flatten().for_each(each);
        }
        _ => {}
    }
}

/// Finds redundant exits: naga ends every branch in which a function may end with a return.
fn find_idle(block: &Block, is_exit: fn(&Statement) -> bool, idle: &mut HashSet<Id>) {
    match block.last() {
        Some(statement) if is_exit(statement) => {
            idle.insert(statement_id(statement));
        }
        // A `break` in a nested `switch` exits that one.
        Some(Statement::Switch { .. }) if is_exit(&Statement::Break) => {}
        Some(statement @ (Statement::Block(_) | Statement::If { .. } | Statement::Switch { .. })) => {
            super::blocks(statement).for_each(|block| find_idle(block, is_exit, idle));
        }
        _ => {}
    }
}

impl Scopes {
    pub(super) fn new(function: &Function, is_pointer: &dyn Fn(Handle<Expression>) -> bool) -> Scopes {
        let count = function.expressions.len();
        let scopes = Scopes {
            tree: vec![Scope { parent: None, kind: ScopeKind::Function }],
            of: HashMap::from([(block_id(&function.body), 0)]),
            evaluated: vec![None; count],
            used: vec![Vec::new(); count],
            extents: HashMap::new(),
            idle: HashSet::new(),
            spans: HashMap::new(),
            barriers: Vec::new(),
            calls: HashMap::new(),
            accesses: HashMap::new(),
            exits: Vec::new(),
        };
        let mut scopes = scopes;
        find_idle(&function.body, |exit| matches!(exit, Statement::Return { value: None }), &mut scopes.idle);
        let mut walk = Walk { function, is_pointer, scopes, order: 0 };
        walk.block(&function.body, 0);
        walk.scopes
    }

    /// The source span of a statement.
    pub(super) fn span(&self, statement: Id) -> Span {
        self.spans.get(&statement).copied().unwrap_or_default()
    }

    /// The scopes from this one to the function.
    pub(super) fn ancestors(&self, scope: ScopeId) -> impl Iterator<Item = ScopeId> + '_ {
        std::iter::successors(Some(scope), |&scope| self.tree[scope].parent)
    }

    pub(super) fn contains(&self, outer: ScopeId, inner: ScopeId) -> bool {
        self.ancestors(inner).any(|scope| scope == outer)
    }

    /// The innermost scope that contains both.
    pub(super) fn common(&self, a: ScopeId, b: ScopeId) -> ScopeId {
        self.ancestors(a).find(|&scope| self.contains(scope, b)).unwrap_or(0)
    }

    /// The scope in which a variable is declared in Rust: the innermost block that contains all its uses and assigns it
    /// before it is read; else outside of all loops, because a value from an earlier iteration may be read. The flag is
    /// true if the first use is that assignment.
    pub(super) fn home(&self, variable: Variable, initialised: bool) -> (ScopeId, bool) {
        let Some([first, rest @ ..]) = self.accesses.get(&variable).map(Vec::as_slice) else {
            return (0, false);
        };
        let common = rest.iter().fold(first.position.scope, |scope, access| self.common(scope, access.position.scope));
        let fresh = matches!(first.kind, AccessKind::Write { whole: true, .. })
            && first.position.scope == common
            && !initialised
            && !matches!(self.tree[common].kind, ScopeKind::Loop(_) | ScopeKind::Switch(_));
        if fresh {
            return (common, true);
        }
        let is_loop = |&scope: &ScopeId| matches!(self.tree[scope].kind, ScopeKind::Loop(_));
        let outermost = self.ancestors(common).filter(is_loop).last();
        let outside = outermost.and_then(|scope| self.tree[scope].parent).unwrap_or(common);
        let is_block = |&scope: &ScopeId| !matches!(self.tree[scope].kind, ScopeKind::Loop(_) | ScopeKind::Switch(_));
        (self.ancestors(outside).find(is_block).unwrap_or(0), false)
    }
}

struct Walk<'a> {
    function: &'a Function,
    is_pointer: &'a dyn Fn(Handle<Expression>) -> bool,
    scopes: Scopes,
    order: usize,
}

impl Walk<'_> {
    fn child(&mut self, parent: ScopeId, kind: ScopeKind, id: Id) -> ScopeId {
        self.scopes.tree.push(Scope { parent: Some(parent), kind });
        let scope = self.scopes.tree.len() - 1;
        self.scopes.of.insert(id, scope);
        scope
    }

    fn block(&mut self, block: &Block, scope: ScopeId) {
        let mut number = 0;
        let mut evaluating = false;
        for (statement, span) in block.span_iter() {
            self.scopes.spans.insert(statement_id(statement), *span);
            let evaluates = matches!(statement, Statement::Emit(_));
            // A run of evaluations and the statement after it share a position.
            if !evaluating {
                number += 1;
            }
            evaluating = evaluates;
            self.order += 1;
            let position = Position { scope, statement: number, order: self.order };
            self.statement(statement, position);
            self.scopes.extents.insert(statement_id(statement), (position.order, self.order));
        }
    }

    fn statement(&mut self, statement: &Statement, position: Position) {
        let id = statement_id(statement);
        let scope = position.scope;
        match *statement {
            Statement::Emit(ref range) => {
                for expression in range.clone() {
                    self.scopes.evaluated[expression.index()] = Some(position);
                    if !(self.is_pointer)(expression) {
                        operands(&self.function.expressions[expression], |operand| self.uses(operand, position));
                    }
                    if let Expression::Load { pointer } = self.function.expressions[expression] {
                        self.access(pointer, position, AccessKind::Read);
                    }
                }
            }
            Statement::Block(ref block) => {
                let inner = self.child(scope, ScopeKind::Plain, block_id(block));
                self.block(block, inner);
            }
            Statement::If { condition, ref accept, ref reject } => {
                self.uses(condition, position);
                for block in [accept, reject] {
                    let inner = self.child(scope, ScopeKind::Branch(id), block_id(block));
                    self.block(block, inner);
                }
            }
            Statement::Switch { selector, ref cases } => {
                self.uses(selector, position);
                let around = self.child(scope, ScopeKind::Switch(id), id);
                for case in cases {
                    find_idle(&case.body, |exit| matches!(exit, Statement::Break), &mut self.scopes.idle);
                    let inner = self.child(around, ScopeKind::Branch(id), block_id(&case.body));
                    self.block(&case.body, inner);
                }
            }
            Statement::Loop { ref body, ref continuing, break_if } => {
                let around = self.child(scope, ScopeKind::Loop(id), id);
                let inner = self.child(around, ScopeKind::Body(id), block_id(body));
                self.block(body, inner);
                let inner = self.child(around, ScopeKind::Continuing(id), block_id(continuing));
                self.block(continuing, inner);
                if let Some(condition) = break_if {
                    self.order += 1;
                    // A statement number of its own, behind the loop's other block.
                    self.uses(condition, Position { scope: inner, statement: usize::MAX, order: self.order });
                }
            }
            Statement::Break if self.scopes.idle.contains(&id) => {}
            Statement::Break => {
                let target = self.target(scope, |kind| matches!(kind, ScopeKind::Loop(_) | ScopeKind::Switch(_)));
                self.exit(ExitKind::Break, scope, target, None);
            }
            Statement::Continue => {
                let target = self.target(scope, |kind| matches!(kind, ScopeKind::Body(_)));
                self.exit(ExitKind::Continue, scope, target, None);
            }
            Statement::Return { .. } if self.scopes.idle.contains(&id) => {}
            Statement::Return { value } => {
                if let Some(value) = value {
                    self.uses(value, position);
                }
                self.exit(ExitKind::Return, scope, 0, value);
            }
            Statement::Store { pointer, value } => {
                self.uses(value, position);
                self.uses(pointer, position);
                let whole = !matches!(
                    self.function.expressions[pointer],
                    Expression::Access { .. } | Expression::AccessIndex { .. }
                );
                self.access(pointer, position, AccessKind::Write { value, pointer, whole });
            }
            Statement::Call { ref arguments, .. } => {
                self.scopes.calls.insert(id, position);
                for (argument, &value) in arguments.iter().enumerate() {
                    if (self.is_pointer)(value) {
                        self.access(value, position, AccessKind::Call { call: id, argument });
                    }
                    self.uses(value, position);
                }
            }
            Statement::Atomic { pointer, value, ref fun, .. } => {
                self.uses(value, position);
                self.uses(pointer, position);
                if let naga::AtomicFunction::Exchange { compare: Some(compare) } = *fun {
                    self.uses(compare, position);
                }
            }
            Statement::ControlBarrier(_) | Statement::MemoryBarrier(_) => self.scopes.barriers.push(position.order),
            Statement::WorkGroupUniformLoad { pointer, .. } => self.uses(pointer, position),
            _ => {}
        }
    }

    fn target(&self, scope: ScopeId, is_target: impl Fn(ScopeKind) -> bool) -> ScopeId {
        self.scopes.ancestors(scope).find(|&scope| is_target(self.scopes.tree[scope].kind)).unwrap_or(0)
    }

    fn exit(&mut self, kind: ExitKind, scope: ScopeId, target: ScopeId, value: Option<Handle<Expression>>) {
        self.scopes.exits.push(Exit { kind, scope, target, value });
    }

    /// A pointer is not a value: a use of it is a use of its indices.
    fn uses(&mut self, expression: Handle<Expression>, position: Position) {
        if (self.is_pointer)(expression) {
            operands(&self.function.expressions[expression], |operand| self.uses(operand, position));
        } else {
            self.scopes.used[expression.index()].push(position);
        }
    }

    fn access(&mut self, pointer: Handle<Expression>, position: Position, kind: AccessKind) {
        if let Some(variable) = variable(self.function, pointer) {
            self.scopes.accesses.entry(variable).or_default().push(Access { position, kind });
        }
    }
}
