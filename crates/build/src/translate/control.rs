//! Branches, loops and exits: uniform control flow stays as it is; varying control flow removes lanes from masks.

use naga::{Block, Expression, Handle, Statement, SwitchValue};

use super::expression::Result;
use super::function::Body;
use super::mask::Mask;
use super::scopes::{ExitKind, Id, ScopeId, ScopeKind, block_id, statement_id};
use super::types::{convert, literal};
use super::uniformity::Class;
use super::value::{Rank, Value};

const SWITCH_BREAK: &str = "a `break` by which only some invocations leave a `switch`";

/// A condition or selector before a block, in parentheses if Rust would parse a struct's brace as the block's.
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

impl<'a> Body<'a, '_> {
    pub(super) fn if_(&mut self, condition: Handle<Expression>, accept: &'a Block, reject: &'a Block) -> Result<()> {
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
    pub(super) fn branch(&mut self, name: &str, test: &Value, block: &'a Block, scope: ScopeId) -> Result<()> {
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

    /// The masks that this exit removes lanes from, innermost first, and whether the exit uses masks at all.
    pub(super) fn left_by(&self, kind: ExitKind, scope: ScopeId) -> Option<(ScopeId, Vec<String>)> {
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

    /// Removes the lanes that pass the test from all masks up to the exited scope, if the exit does nothing else.
    pub(super) fn leave_where(&mut self, exit: &Statement, scope: ScopeId, test: &Value) -> bool {
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

    pub(super) fn exit(
        &mut self,
        statement: &Statement,
        kind: ExitKind,
        value: Option<Handle<Expression>>,
    ) -> Result<()> {
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
            // All lanes that are still in the scope exit together.
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

    /// An exit of all lanes together.
    pub(super) fn plain_exit(&mut self, statement: &Statement, kind: ExitKind, value: Option<String>) -> Result<()> {
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

    pub(super) fn loop_(
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

    /// The condition of a `while` or `for`, which naga lowers to `if condition {} else { break; }` at the start of the
    /// body, and its number of statements.
    pub(super) fn while_condition(&mut self, body: &'a Block, scope: ScopeId) -> Result<(Option<String>, usize)> {
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

    pub(super) fn switch(
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
            // Rust runs the first matching arm: the default comes last.
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

    /// Declares the values of a loop's body that its `continuing` block uses: the body becomes a block of its own.
    pub(super) fn hoist(&mut self, body: &'a Block, scope: ScopeId) -> Result<()> {
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
}
