//! Every op against its reference in f64, with ordinary and with special values.

use kiln::graph::{Array, Choices, DeviceKind};
use kiln::ops::{Case, cases};
use kiln::{Algorithms, Device, OpProgram, Precision, Result};

use super::special::specials;
use super::{Check, Outcome};

/// The largest error of an output, relative to its largest value.
const ALLOWED: f64 = 1e-5;
/// The largest number of elements of a case with special values, each of which needs a reference.
const MOST_SPECIAL: usize = 20_000;
/// Software drivers compile a kernel in a second, so they test one in this many of the cases of alternative tiles and
/// of derived gradients.
const SHARE: usize = 5;

/// A check per op, by name.
pub fn checks() -> Vec<Check> {
    let mut by_name: Vec<(&str, Vec<Case>)> = Vec::new();
    for case in cases() {
        let name = case.op.name();
        match by_name.iter_mut().find(|(known, _)| *known == name) {
            Some((_, cases)) => cases.push(case),
            None => by_name.push((name, vec![case])),
        }
    }
    by_name.into_iter().map(|(name, cases)| Check::new(name, move |device| Ok(compare(device, &cases)))).collect()
}

/// The results of a comparison so far.
#[derive(Default)]
pub(super) struct Comparison {
    /// The precision in which cases are run.
    precision: Precision,
    cases: usize,
    specials: usize,
    largest: f64,
    problems: Vec<String>,
}

fn compare(device: &Device, cases: &[Case]) -> Outcome {
    let mut comparison = Comparison::default();
    let is_software = device.info().kind == DeviceKind::Software;
    for (i, case) in cases.iter().enumerate() {
        let is_chosen = !is_software || i % SHARE == 0;
        comparison.add(device, case, is_chosen);
        match case.gradients() {
            Ok(gradients) if is_chosen => gradients.iter().for_each(|case| comparison.add(device, case, false)),
            Ok(_) => {}
            Err(error) => comparison.problems.push(format!("{}: {error}", case.name)),
        }
    }
    comparison.outcome()
}

impl Comparison {
    /// A comparison of cases run in this precision.
    pub fn in_precision(precision: Precision) -> Comparison {
        Comparison { precision, ..Comparison::default() }
    }

    /// Compares a case with its reference, computed by the default kernel and optionally by all alternative kernels.
    pub fn add(&mut self, device: &Device, case: &Case, all_kernels: bool) {
        if let Err(error) = self.try_add(device, case, all_kernels) {
            self.problems.push(format!("{}: {error}", case.name));
        }
        self.cases += 1;
    }

    /// The outcome of all comparisons.
    pub fn outcome(self) -> Outcome {
        let Comparison { cases, specials, largest, problems, .. } = self;
        let extent = format!("{cases} case{}, {specials} special", if cases == 1 { "" } else { "s" });
        Outcome { extent, error: Some(largest), problems }
    }

    fn try_add(&mut self, device: &Device, case: &Case, all_kernels: bool) -> Result<()> {
        let precision = self.precision;
        let on = |device: &Device, choices: &Choices| {
            let op = case.op.clone();
            OpProgram::with_precision(device, op, &case.inputs, &case.rewritten, precision, choices)
        };
        let fast = device.with_algorithms(Algorithms::Fast);
        let with = |choices: &Choices| on(&fast, choices);
        let mut by_default = with(&Choices::default())?;
        self.run(&mut by_default, case, "")?;
        let mut direct = on(&device.with_algorithms(Algorithms::Direct), &Choices::default())?;
        if direct.plan().to_string() != by_default.plan().to_string() {
            self.run(&mut direct, case, " directly")?;
        }
        for choice in by_default.plan().choices.iter().filter(|_| all_kernels) {
            for (place, kernel) in choice.kernels.iter().enumerate().skip(1) {
                let mut choices = Choices::default();
                choices.set(choice, place);
                self.run(&mut with(&choices)?, case, &format!(" by {}", kernel.name))?;
            }
        }
        Ok(())
    }

    fn run(&mut self, program: &mut OpProgram, case: &Case, kernel: &str) -> Result<()> {
        let taken: Vec<&Array> = case.inputs.iter().chain(&case.rewritten).collect();
        let elements: usize = taken.iter().map(|array| array.data.len()).sum();
        let error = error_of(program, case, &case.op.reference(&taken, &case.step))?;
        self.largest = self.largest.max(error);
        if error > ALLOWED {
            self.problems.push(format!("{}{kernel}: differs from the reference by {error:.1e}", case.name));
        }
        if elements > MOST_SPECIAL {
            return Ok(());
        }
        for special in specials(case, self.cases) {
            program.write(&special.inputs, &special.rewritten)?;
            program.run_in(case.step, 1)?;
            if let Some(problem) = special.problem(&program.results()?, ALLOWED) {
                self.problems.push(format!("{}{kernel}, {}: {problem}", case.name, special.name));
            }
            self.specials += 1;
        }
        Ok(())
    }
}

/// The largest error of a case's outputs, infinite if their number or type is wrong.
fn error_of(program: &mut OpProgram, case: &Case, expected: &[Array]) -> Result<f64> {
    program.run_in(case.step, 1)?;
    let found = program.results()?;
    if found.len() != expected.len() || found.iter().zip(expected).any(|(found, expected)| found.ty != expected.ty) {
        return Ok(f64::INFINITY);
    }
    Ok(found.iter().zip(expected).map(|(found, expected)| found.relative_error(expected)).fold(0.0, f64::max))
}
