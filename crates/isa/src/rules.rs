//! What the machine code of every kernel must satisfy, and the kernels that are excepted, each for a reason.

use crate::table::Row;

/// The instruction cache of a compute unit in bytes: longer code is loaded again in each iteration of its loop.
const MOST_CODE: u32 = 32 << 10;
/// The most vector registers, which leave room for 4 waves of RDNA3 and 3 of RDNA2 and CDNA2.
const MOST_REGISTERS: u32 = 168;
/// The least share of multiply-adds in the vector instructions of a product's inner loop.
const LEAST_SHARE: f64 = 0.8;
/// Loops with fewer multiply-adds do not compute a product: they add blocks, or walk over taps.
const LEAST_MULTIPLY_ADDS: u32 = 32;

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// No register is spilled, and no memory of an invocation's own is used.
    Spills,
    /// The code fits the instruction cache.
    Code,
    /// At most 168 vector registers.
    Registers,
    /// Products load quads only.
    Quads,
    /// At least 80 % of the vector instructions in a product's inner loop are multiply-adds.
    Share,
}

/// Kernels that break a rule for a good reason.
struct Exception {
    /// The start of the kernel's name.
    kernel: &'static str,
    /// Override values that the variant has.
    overrides: &'static [&'static str],
    rule: Rule,
    /// Why the kernel is as it is.
    #[allow(dead_code, reason = "for readers of the list")]
    reason: &'static str,
}

/// All exceptions.
const EXCEPTIONS: &[Exception] = &[];

impl Exception {
    fn covers(&self, row: &Row, rule: Rule) -> bool {
        let has = |value: &&str| row.overrides.split(' ').any(|found| found == *value);
        self.rule == rule && row.kernel.starts_with(self.kernel) && self.overrides.iter().all(has)
    }
}

/// The rules that a kernel breaks and for which it has no exception, as text.
pub fn broken(row: &Row) -> Vec<String> {
    let all = violations(row).into_iter();
    let broken = all.filter(|(rule, _)| !EXCEPTIONS.iter().any(|exception| exception.covers(row, *rule)));
    broken.map(|(_, text)| text).collect()
}

/// Whether an exception covers the kernel.
pub fn is_excepted(row: &Row) -> bool {
    violations(row).iter().any(|(rule, _)| EXCEPTIONS.iter().any(|exception| exception.covers(row, *rule)))
}

fn violations(row: &Row) -> Vec<(Rule, String)> {
    let mut found = Vec::new();
    let spilled = row.spilled_registers;
    if spilled > 0 || row.scratch_bytes > 0 {
        found.push((Rule::Spills, format!("{spilled} spilled registers, {} bytes of scratch", row.scratch_bytes)));
    }
    if row.code_bytes > MOST_CODE {
        found.push((Rule::Code, format!("{} bytes of code", row.code_bytes)));
    }
    if row.registers > MOST_REGISTERS {
        found.push((Rule::Registers, format!("{} vector registers", row.registers)));
    }
    let inner = &row.inner_loop;
    if !row.is_product || inner.multiply_adds < LEAST_MULTIPLY_ADDS {
        return found;
    }
    let widths = inner.loads.keys().chain(inner.shared_loads.keys());
    if let Some(width) = widths.copied().find(|&width| width < 128) {
        found.push((Rule::Quads, format!("loads of {width} bits in the inner loop")));
    }
    if inner.share() < LEAST_SHARE {
        let (share, all) = (100.0 * inner.share(), inner.multiply_add_instructions + inner.other_vector);
        let multiply_adds = inner.multiply_add_instructions;
        found.push((Rule::Share, format!("{multiply_adds} multiply-adds of {all} vector instructions, {share:.0} %")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assembly::Loop;

    fn row() -> Row {
        let inner_loop = Loop { multiply_adds: 80, multiply_add_instructions: 80, other_vector: 20, ..Loop::default() };
        let (kernel, overrides) = ("matmul_shared.nn".to_owned(), "lanes=16".to_owned());
        Row { kernel, overrides, is_product: true, registers: 168, code_bytes: 32 << 10, inner_loop, ..Row::default() }
    }

    #[test]
    fn each_rule_is_named_with_what_breaks_it() {
        assert_eq!(broken(&row()), [""; 0]);
        assert_eq!(broken(&Row { registers: 169, ..row() }), ["169 vector registers"]);
        assert_eq!(broken(&Row { code_bytes: 32_769, ..row() }), ["32769 bytes of code"]);
        assert_eq!(broken(&Row { scratch_bytes: 16, ..row() }), ["0 spilled registers, 16 bytes of scratch"]);
        let narrow = Loop { loads: [(32, 1), (128, 2)].into(), other_vector: 30, ..row().inner_loop };
        let expected = ["loads of 32 bits in the inner loop", "80 multiply-adds of 110 vector instructions, 73 %"];
        assert_eq!(broken(&Row { inner_loop: narrow.clone(), ..row() }), expected);
        assert_eq!(broken(&Row { inner_loop: narrow, is_product: false, ..row() }), [""; 0]);
    }
}
