//! A value as Rust text.

use super::uniformity::Class;

/// Rust's operator precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// `if`, a block, a closure.
    Block,
    Or,
    And,
    Compare,
    BitOr,
    BitXor,
    BitAnd,
    Shift,
    Sum,
    Product,
    /// `-x`, `!x`, `x as u32` (which binds less closely than the former, but is never a bare operand of them).
    Unary,
    /// A name, a literal, a call, or an expression in parentheses.
    Whole,
}

/// A Rust expression and its class, which determines its Rust type.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) text: String,
    pub(super) class: Class,
    pub(super) rank: Rank,
}

impl Value {
    /// A name, a literal or a call.
    pub(super) fn whole(text: impl Into<String>, class: Class) -> Value {
        Value { text: text.into(), class, rank: Rank::Whole }
    }

    pub(super) fn ranked(text: impl Into<String>, class: Class, rank: Rank) -> Value {
        Value { text: text.into(), class, rank }
    }

    pub(super) fn uniform(text: impl Into<String>) -> Value {
        Value::whole(text, Class::Uniform)
    }

    /// The text, in parentheses if its precedence is below `rank`.
    pub(super) fn within(&self, rank: Rank) -> String {
        if self.rank >= rank { self.text.clone() } else { format!("({})", self.text) }
    }

    /// `self.method(arguments)`.
    pub(super) fn method(&self, method: &str, arguments: &str) -> Value {
        Value::whole(format!("{}.{method}({arguments})", self.within(Rank::Whole)), self.class.clone())
    }

    /// `self operator other`, for an operator that groups from the left.
    pub(super) fn operator(&self, operator: &str, rank: Rank, other: &Value, class: Class) -> Value {
        let next = if rank == Rank::Compare { Rank::BitOr } else { rank };
        // `a < b` and the like do not group at all; on the right, the same rank would group wrongly.
        let right = if other.rank > rank { other.text.clone() } else { format!("({})", other.text) };
        let left = self.within(next);
        // `x as u32 < y` would start a generic argument.
        let is_cast = [" as u32", " as i32", " as f32"].iter().any(|cast| left.ends_with(cast));
        let left = if is_cast { format!("({left})") } else { left };
        Value::ranked(format!("{left} {operator} {right}"), class, rank)
    }

    pub(super) fn with_class(mut self, class: Class) -> Value {
        self.class = class;
        self
    }

    /// Whether the text is a name, which can be repeated.
    pub(super) fn is_name(&self) -> bool {
        self.text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'#'))
            && !self.text.starts_with(|c: char| c.is_ascii_digit())
    }
}
