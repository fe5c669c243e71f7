//! The machine code that a GPU's compiler generates for Kiln's kernels, without a GPU.
//!
//! Mesa's RADV can compile for AMD's GPUs on any machine. This program compiles every kernel that the networks run, with
//! the SPIR-V that wgpu would give the driver, counts the machine instructions of its hottest loop, and derives which
//! share of the GPU's peak it can reach: a bound of a model ([`chip`]), not a measurement. It fails if a kernel breaks one
//! of the [`rules`].
//!
//! ```text
//! networks --plans--> kernels --naga--> SPIR-V --RADV--> machine code --> table, rules
//! ```

mod assembly;
mod chip;
mod driver;
mod kernels;
mod rules;
mod spirv;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chip::{CHIPS, Chip};
use clap::Parser;
use driver::Compilation;
use spirv::{Module, Shaders};
use table::Row;

/// A result with a message for the user.
type Result<T> = std::result::Result<T, String>;

/// The exit status if the driver is missing, or if kernels break a rule with another version of the driver than that of
/// the saved tables: neither passed nor failed.
const SKIPPED: u8 = 77;

/// Compile the kernels of LeNet, the deeper network for CIFAR-10, VGG16, InceptionV3 and EfficientNetB0 for GPUs, without a
/// GPU.
///
/// Prints the figures that differ from the saved tables, and the kernels that break a rule; with a filter, the figures of
/// all kernels that match. `cargo xtask isa` builds the program first. It reads the shaders from the repository, so that
/// target/debug/kiln-isa, started directly, compiles an edited kernel without a build, as long as its bindings and
/// overrides stay the same.
///
/// The machine code depends on the version of Mesa. The rules hold for the version of the saved tables; with another one,
/// the kernels that break a rule are printed, but are no failure.
#[derive(Debug, Parser)]
#[command(after_long_help = "\
Examples:
  cargo xtask isa
  cargo xtask isa conv2d.shared     # the figures of these kernels
  cargo xtask isa --keep code       # writes the machine code of each kernel to code/CHIP/
  cargo xtask isa --save            # replaces the saved tables, crates/isa/tables

Exit status: 0 if no kernel breaks a rule, 1 if one does, 77 if one does with another version of Mesa than that of the
saved tables, or if Mesa's RADV or the Vulkan loader is not installed.")]
struct Arguments {
    /// Print the figures of the kernels with this text in their names, override values, networks or layers.
    filter: Option<String>,
    /// Only this chip: navi31, navi21 or MI200.
    #[arg(long, value_name = "NAME")]
    chip: Option<String>,
    /// Replace the saved tables.
    #[arg(long)]
    save: bool,
    /// Write shaders and machine code to this folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Compile the shaders in the folder for this chip; the program starts itself with it.
    #[arg(long, hide = true, requires = "keep")]
    compile_for: Option<String>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(status) => status,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    if let (Some(chip), Some(folder)) = (&arguments.compile_for, &arguments.keep) {
        let compiled = driver::compile_here(chip, folder)?;
        return Ok(if compiled { ExitCode::SUCCESS } else { ExitCode::from(SKIPPED) });
    }
    let chips: Vec<&Chip> =
        CHIPS.iter().filter(|chip| arguments.chip.as_ref().is_none_or(|name| chip.name == name)).collect();
    if chips.is_empty() {
        return Err(format!("expected a chip of {}", CHIPS.map(|chip| chip.name).join(", ")));
    }
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let variants = kernels::variants()?;
    let shaders = Shaders::read(&package.join("../ops/shaders"))?;
    let modules: Vec<Module> = variants.iter().map(|variant| shaders.spirv(variant)).collect::<Result<_>>()?;
    let temporary = tempfile::tempdir().map_err(|error| error.to_string())?;
    let folder = match &arguments.keep {
        Some(folder) => {
            fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
            folder.canonicalize().map_err(|error| error.to_string())?
        }
        None => temporary.path().to_owned(),
    };
    let names: Vec<&str> = chips.iter().map(|chip| chip.name).collect();
    let Some(compiled) = driver::compile(&names, &modules, &folder)? else {
        println!("skipped: Mesa's RADV or the Vulkan loader is missing (packages mesa-vulkan-drivers, libvulkan1)");
        return Ok(ExitCode::from(SKIPPED));
    };
    let mut verdict = Verdict::Passed;
    for (chip, compilation) in chips.iter().zip(&compiled) {
        let rows: Vec<Row> = variants
            .iter()
            .zip(&compilation.shaders)
            .map(|(variant, compiled)| Row::new(chip, variant, compiled))
            .collect();
        if arguments.keep.is_some() {
            keep(&folder.join(chip.name), &rows, compilation)?;
        }
        verdict = verdict.max(report(arguments, chip, compilation, &rows, &package.join("tables"))?);
    }
    Ok(match verdict {
        Verdict::Passed => ExitCode::SUCCESS,
        Verdict::OtherVersion => ExitCode::from(SKIPPED),
        Verdict::Failed => ExitCode::FAILURE,
    })
}

/// Whether all kernels of a chip satisfy the rules, from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// They do.
    Passed,
    /// They do not, but the driver is of another version than that of the saved table.
    OtherVersion,
    /// They do not.
    Failed,
}

/// Writes the machine code of each kernel to a file, with its figures at the top.
fn keep(folder: &Path, rows: &[Row], compilation: &Compilation) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    for (index, (row, compiled)) in rows.iter().zip(&compilation.shaders).enumerate() {
        let head = format!("; {} {}\n; {:?}\n", row.kernel, row.overrides, compiled.statistics);
        let path = folder.join(format!("{index:04}-{}.s", row.kernel));
        fs::write(&path, head + &compiled.assembly).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// Prints and saves the table as the arguments request, and returns whether all kernels satisfy the rules.
fn report(
    arguments: &Arguments,
    chip: &Chip,
    compilation: &Compilation,
    rows: &[Row],
    tables: &Path,
) -> Result<Verdict> {
    let Chip { name, architecture, .. } = chip;
    println!("\n{name} ({architecture}), RADV of {}: {} kernels", compilation.driver, rows.len());
    let path = tables.join(format!("{name}.tsv"));
    let saved = match fs::read_to_string(&path) {
        Ok(text) => match table::saved(&text) {
            Err(error) if !arguments.save => return Err(format!("{}: {error}", path.display())),
            saved => saved.ok(),
        },
        Err(_) => None,
    };
    let is_other_version = !arguments.save && saved.as_ref().is_some_and(|saved| saved.driver != compilation.driver);
    if let Some(filter) = &arguments.filter {
        println!("{}\tused by (in parentheses: if tuning chooses it)", table::HEADING);
        for row in rows {
            let used_by = if row.is_alternative { format!("({})", row.used_by) } else { row.used_by.clone() };
            let line = format!("{}\t{}\t{}\t{used_by}", row.kernel, row.overrides, row.figures());
            if line.contains(filter) {
                println!("{line}");
            }
        }
    } else if let Some(saved) = &saved {
        let changes = table::changes(rows, saved);
        println!("{} kernels differ from {}, saved with {}", changes.len(), path.display(), saved.driver);
        for [kernel, before, after] in changes {
            println!("{kernel}\n  was {before}\n  now {after}");
        }
    }
    if arguments.save {
        fs::write(&path, table::file(&compilation.driver, rows))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let broken: Vec<(&Row, Vec<String>)> =
        rows.iter().map(|row| (row, rules::broken(row))).filter(|(_, broken)| !broken.is_empty()).collect();
    let mut excepted: BTreeMap<&str, usize> = BTreeMap::new();
    rows.iter().flat_map(rules::reasons).for_each(|reason| *excepted.entry(reason).or_default() += 1);
    for (reason, count) in &excepted {
        println!("{count} kernels are excepted: {reason}");
    }
    println!("{} kernels break a rule", broken.len());
    for (row, broken) in &broken {
        println!("{} {} ({}): {}", row.kernel, row.overrides, row.used_by, broken.join("; "));
    }
    Ok(match broken.is_empty() {
        true => Verdict::Passed,
        false if is_other_version => {
            println!("which is no failure: the rules hold for the version of the saved table");
            Verdict::OtherVersion
        }
        false => Verdict::Failed,
    })
}
