//! The table of a chip's kernels, and its saved form.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::Result;
use crate::assembly::{Loop, hottest_loop};
use crate::chip::Chip;
use crate::driver::Compiled;
use crate::kernels::Variant;

/// A kernel with override values, compiled for a chip.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// The kernel: file and entry point.
    pub kernel: String,
    /// The override values: `depth=20 columns=52`.
    pub overrides: String,
    /// The first network and layer that use it.
    pub used_by: String,
    /// Whether only tuning can choose it.
    pub is_alternative: bool,
    /// Whether it computes a product by a kernel written for GPUs.
    pub is_product: bool,
    /// Vector registers.
    pub registers: u32,
    /// Vector and scalar registers that are kept in memory.
    pub spilled_registers: u32,
    /// Memory of an invocation's own, in bytes.
    pub scratch_bytes: u32,
    /// Workgroup memory in bytes.
    pub shared_bytes: u32,
    /// Machine code in bytes.
    pub code_bytes: u32,
    /// Waves of a SIMD unit.
    pub waves: f64,
    /// The loop in which the kernel spends its time.
    pub inner_loop: Loop,
    /// The share of the peak that the loop can reach.
    pub bound: f64,
}

impl Row {
    /// The row of a compiled kernel.
    pub fn new(chip: &Chip, variant: &Variant, compiled: &Compiled) -> Row {
        let statistic = |name: &str| compiled.statistics.get(name).copied().unwrap_or_default() as u32;
        let (registers, shared_bytes) = (statistic("VGPRs"), statistic("LDS size"));
        let inner_loop = hottest_loop(&compiled.assembly);
        let invocations = variant.kernel.workgroup_size.iter().product();
        Row {
            kernel: variant.kernel.name.to_owned(),
            overrides: variant.values(),
            used_by: variant.used_by.clone(),
            is_alternative: variant.is_alternative,
            is_product: variant.is_product,
            registers,
            spilled_registers: statistic("Spilled VGPRs") + statistic("Spilled SGPRs"),
            scratch_bytes: statistic("Scratch size"),
            shared_bytes,
            code_bytes: statistic("Code size"),
            waves: chip.waves(registers, shared_bytes, invocations),
            bound: chip.bound(&inner_loop),
            inner_loop,
        }
    }

    /// What identifies the row.
    pub fn key(&self) -> (String, String) {
        (self.kernel.clone(), self.overrides.clone())
    }

    /// The columns after the kernel and its overrides: see [`HEADING`].
    pub fn figures(&self) -> String {
        let Row { registers, waves, code_bytes, spilled_registers, scratch_bytes, shared_bytes, inner_loop, .. } = self;
        let Loop { multiply_adds, other_vector, loads, shared_loads, waits, .. } = inner_loop;
        let bound = if *multiply_adds == 0 { "-".to_owned() } else { format!("{:.2}", self.bound) };
        let (loads, shared_loads) = (widths(loads), widths(shared_loads));
        format!(
            "{registers}\t{waves:.1}\t{code_bytes}\t{spilled_registers}\t{scratch_bytes}\t{shared_bytes}\t\
             {multiply_adds}\t{other_vector}\t{loads}\t{shared_loads}\t{waits}\t{bound}"
        )
    }
}

/// The columns of a table.
pub const HEADING: &str = "kernel\toverrides\tregisters\twaves\tcode B\tspilled\tscratch B\tshared B\tmultiply-adds\t\
                           other vector\tloads\tshared loads\twaits\tbound";

/// `4x128+1x32`: the count of loads by width in bits, the widest first.
fn widths(loads: &BTreeMap<u32, u32>) -> String {
    let parts: Vec<String> = loads.iter().rev().map(|(width, count)| format!("{count}x{width}")).collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join("+") }
}

/// The start of the first line of a saved table, before the version of the driver.
const DRIVER: &str = "driver\t";

/// A saved table.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The version of the driver that compiled the kernels.
    pub driver: String,
    /// The figures by kernel and overrides.
    figures: BTreeMap<(String, String), String>,
}

/// A table as a file: a line with the version of the driver, then tab-separated values, without the kernels that only
/// tuning can choose.
pub fn file(driver: &str, rows: &[Row]) -> String {
    let mut text = format!("{DRIVER}{driver}\n{HEADING}\n");
    for row in rows.iter().filter(|row| !row.is_alternative) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}\t{}\t{}", row.kernel, row.overrides, row.figures());
    }
    text
}

/// Reads a saved table.
///
/// # Errors
/// If it has no version of the driver, or if the columns are not those of [`HEADING`].
pub fn saved(text: &str) -> Result<Saved> {
    let mut lines = text.lines();
    let Some(driver) = lines.next().and_then(|line| line.strip_prefix(DRIVER)) else {
        return Err("the first line of the saved table has no version of the driver; replace it with --save".to_owned());
    };
    if lines.next() != Some(HEADING) {
        return Err("the columns of the saved table differ from this program's; replace it with --save".to_owned());
    }
    let parts = lines.filter_map(|line| {
        let (kernel, rest) = line.split_once('\t')?;
        let (overrides, figures) = rest.split_once('\t')?;
        Some(((kernel.to_owned(), overrides.to_owned()), figures.to_owned()))
    });
    Ok(Saved { driver: driver.to_owned(), figures: parts.collect() })
}

/// The rows that changed, appeared or disappeared since a table was saved: the kernel with its overrides, the old figures
/// (or `new`) and the new ones (or `gone`).
pub fn changes(rows: &[Row], saved: &Saved) -> Vec<[String; 3]> {
    let mut changes = Vec::new();
    let mut old = saved.figures.clone();
    for row in rows.iter().filter(|row| !row.is_alternative) {
        let before = old.remove(&row.key());
        let figures = row.figures();
        if before.as_ref() != Some(&figures) {
            let before = before.unwrap_or_else(|| "new".to_owned());
            changes.push([format!("{} {}", row.kernel, row.overrides), before, figures]);
        }
    }
    let gone = old
        .into_iter()
        .map(|((kernel, overrides), figures)| [format!("{kernel} {overrides}"), figures, "gone".to_owned()]);
    changes.extend(gone);
    changes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_saved_table_is_read_back_and_compared_row_by_row() {
        let row = |kernel: &str, registers| Row { kernel: kernel.to_owned(), registers, ..Row::default() };
        let saved = saved(&file("Mesa 25", &[row("a", 1), row("b", 2), row("c", 3)])).unwrap();
        assert_eq!(saved.driver, "Mesa 25");
        assert!(changes(&[row("a", 1), row("b", 2), row("c", 3)], &saved).is_empty());
        let changed = changes(&[row("a", 1), row("b", 9), row("d", 4)], &saved);
        let names: Vec<&str> = changed.iter().map(|[name, ..]| name.trim()).collect();
        assert_eq!(names, ["b", "d", "c"]);
        assert!(changed[0][1].starts_with("2\t") && changed[0][2].starts_with("9\t"), "{changed:?}");
        assert_eq!((&*changed[1][1], &*changed[2][2]), ("new", "gone"));
        assert!(super::saved("driver\tMesa 25\nkernel\n").is_err() && super::saved(&format!("{HEADING}\n")).is_err());
    }
}
