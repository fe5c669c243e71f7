//! The rules for the machine code of every kernel, and the exceptions, each with its reason.

use crate::table::Row;

/// The instruction cache of a compute unit in bytes: longer code is loaded again in each iteration of its loop.
const MOST_CODE: u32 = 32 << 10;
/// The most vector registers, which leave room for 4 waves of RDNA3 and 3 of RDNA2 and CDNA2.
const MOST_REGISTERS: u32 = 168;
/// The least share of multiply-adds in the vector instructions of a product's inner loop, in percent.
const LEAST_SHARE: u32 = 80;
/// Loops with fewer multiply-adds do not compute a product: they add blocks, or walk over taps.
const LEAST_MULTIPLY_ADDS: u32 = 32;

/// A rule for a kernel, with the figure that bounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// No register is spilled, and no memory of an invocation's own is used.
    Spills,
    /// The code has at most so many bytes.
    Code(u32),
    /// At most so many vector registers.
    Registers(u32),
    /// Products load quads only.
    Quads,
    /// At least so many percent of the vector instructions in a product's inner loop are multiply-adds.
    Share(u32),
}

/// The rules that all kernels without an exception satisfy.
const RULES: [Rule; 5] =
    [Rule::Spills, Rule::Code(MOST_CODE), Rule::Registers(MOST_REGISTERS), Rule::Quads, Rule::Share(LEAST_SHARE)];

/// Kernels that satisfy a weaker rule, or not that of quads, for a good reason.
struct Exception {
    /// A part of the kernel's name.
    kernel: &'static str,
    /// An override value that the variant has, or empty.
    overrides: &'static str,
    /// The weaker rules.
    rules: &'static [Rule],
    /// Why the kernel is as it is.
    reason: &'static str,
}

/// All exceptions.
const EXCEPTIONS: &[Exception] = &[
    Exception {
        kernel: "_subgroup.",
        overrides: "",
        rules: &[Rule::Quads, Rule::Share(50)],
        reason: "the tile of software drivers, whose subgroups have 8 invocations; a GPU runs it only if measured as fastest",
    },
    Exception {
        kernel: "_subgroup.",
        overrides: "height=1",
        rules: &[Rule::Share(30)],
        reason: "the same for images of one pixel, where loops are few steps long",
    },
    Exception {
        kernel: "conv2d_weight_gradient_quads.forward",
        overrides: "height=1",
        rules: &[Rule::Share(49)],
        reason: "for images of one pixel, whose address is computed for each step; such layers are small",
    },
    Exception {
        kernel: "conv2d_weight_gradient_quads.shared_tiles",
        overrides: "lanes=8",
        rules: &[Rule::Registers(172)],
        reason: "a tile of 128 rows loads 10 quads in advance, of 8 pixels whose positions it keeps",
    },
    Exception {
        kernel: "conv2d.quads",
        overrides: "",
        rules: &[Rule::Registers(184)],
        reason: "keeps a second set of sums, to drop those of taps outside of the image",
    },
    Exception {
        kernel: "input_gradient.quads",
        overrides: "",
        rules: &[Rule::Registers(184)],
        reason: "keeps a second set of sums, to drop those of taps outside of the image",
    },
    Exception {
        kernel: "conv2d.shared_tiles",
        overrides: "lanes=8",
        rules: &[Rule::Registers(204)],
        reason: "a tile of 128 rows loads 10 quads in advance, of 8 pixels whose positions it keeps",
    },
    Exception {
        kernel: "conv2d_input_gradient.shared_tiles",
        overrides: "lanes=8",
        rules: &[Rule::Registers(204)],
        reason: "a tile of 128 rows loads 10 quads in advance, of 8 pixels whose positions it keeps",
    },
    Exception {
        kernel: "conv2d_strided_input_gradient.shared_tiles",
        overrides: "",
        rules: &[Rule::Registers(256)],
        reason: "the address of a tap is divided by the strides",
    },
    Exception {
        kernel: "matmul_shared.nn",
        overrides: "",
        rules: &[Rule::Registers(252)],
        reason: "the sums of blocks of 256 steps are a second set of 64 sums",
    },
    Exception {
        kernel: "matmul_split.tiles",
        overrides: "lanes=8",
        rules: &[Rule::Registers(204)],
        reason: "a tile of 128 rows loads 10 quads in advance",
    },
];

impl Exception {
    fn covers(&self, row: &Row) -> bool {
        let has = |value: &str| row.overrides.split(' ').any(|found| found == value);
        row.kernel.contains(self.kernel) && (self.overrides.is_empty() || has(self.overrides))
    }

    /// Whether a kernel may break a rule.
    fn permits(&self, row: &Row, rule: Rule) -> bool {
        let same = |weaker: &Rule| std::mem::discriminant(weaker) == std::mem::discriminant(&rule);
        let weaker = self.rules.iter().copied().find(same);
        self.covers(row) && weaker.is_some_and(|weaker| weaker == rule || violation(row, weaker).is_none())
    }
}

/// The rules that a kernel breaks and for which it has no exception, as text.
pub fn broken(row: &Row) -> Vec<String> {
    let excepted = |rule: Rule| EXCEPTIONS.iter().any(|exception| exception.permits(row, rule));
    let broken = RULES.into_iter().filter_map(|rule| Some((rule, violation(row, rule)?)));
    broken.filter(|(rule, _)| !excepted(*rule)).map(|(_, text)| text).collect()
}

/// The reasons for which a kernel may break rules that it does break.
pub fn reasons(row: &Row) -> Vec<&'static str> {
    let broken = |exception: &&Exception| {
        RULES.into_iter().any(|rule| violation(row, rule).is_some() && exception.permits(row, rule))
    };
    EXCEPTIONS.iter().filter(broken).map(|exception| exception.reason).collect()
}

/// How a kernel breaks a rule, if it does.
fn violation(row: &Row, rule: Rule) -> Option<String> {
    let inner = &row.inner_loop;
    let is_product = row.is_product && inner.multiply_adds >= LEAST_MULTIPLY_ADDS;
    let (spilled, scratch) = (row.spilled_registers, row.scratch_bytes);
    match rule {
        Rule::Spills => (spilled > 0 || scratch > 0)
            .then(|| format!("{spilled} spilled registers, {scratch} bytes of memory of an invocation's own")),
        Rule::Code(most) => (row.code_bytes > most).then(|| format!("{} bytes of code", row.code_bytes)),
        Rule::Registers(most) => (row.registers > most).then(|| format!("{} vector registers", row.registers)),
        Rule::Quads => {
            let widths = inner.loads.keys().chain(inner.shared_loads.keys()).copied();
            let narrow = widths.filter(|_| is_product).find(|&width| width < 128);
            narrow.map(|width| format!("loads of {width} bits in the inner loop"))
        }
        Rule::Share(least) => (is_product && inner.share() < f64::from(least) / 100.0).then(|| {
            let (all, share) = (inner.multiply_add_instructions + inner.other_vector, 100.0 * inner.share());
            format!("{} multiply-adds of {all} vector instructions, {share:.0} %", inner.multiply_add_instructions)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assembly::Loop;

    fn row() -> Row {
        let inner_loop = Loop { multiply_adds: 80, multiply_add_instructions: 80, other_vector: 20, ..Loop::default() };
        let (kernel, overrides) = ("matmul_shared.tn".to_owned(), "lanes=16".to_owned());
        Row { kernel, overrides, is_product: true, registers: 168, code_bytes: 32 << 10, inner_loop, ..Row::default() }
    }

    #[test]
    fn each_rule_is_named_with_what_breaks_it() {
        assert_eq!(broken(&row()), [""; 0]);
        assert_eq!(broken(&Row { registers: 169, ..row() }), ["169 vector registers"]);
        assert_eq!(broken(&Row { code_bytes: 32_769, ..row() }), ["32769 bytes of code"]);
        let scratch = "0 spilled registers, 16 bytes of memory of an invocation's own";
        assert_eq!(broken(&Row { scratch_bytes: 16, ..row() }), [scratch]);
        let narrow = Loop { loads: [(32, 1), (128, 2)].into(), other_vector: 30, ..row().inner_loop };
        let expected = ["loads of 32 bits in the inner loop", "80 multiply-adds of 110 vector instructions, 73 %"];
        assert_eq!(broken(&Row { inner_loop: narrow.clone(), ..row() }), expected);
        assert_eq!(broken(&Row { inner_loop: narrow, is_product: false, ..row() }), [""; 0]);
    }

    #[test]
    fn an_exception_permits_its_own_bound_only() {
        let blocks = |registers| Row { kernel: "matmul_shared.nn".to_owned(), registers, ..row() };
        assert!(broken(&blocks(252)).is_empty() && reasons(&blocks(252)).len() == 1);
        assert!(reasons(&blocks(168)).is_empty());
        assert_eq!(broken(&blocks(253)), ["253 vector registers"]);
        let narrow = Row { kernel: "matmul_split.tiles".to_owned(), registers: 192, ..row() };
        assert_eq!(broken(&narrow), ["192 vector registers"], "only with lanes=8");
    }
}
