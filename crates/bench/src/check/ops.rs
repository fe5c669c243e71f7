//! Every op against its reference in f64.

use kiln::graph::{Array, Choices, DeviceKind};
use kiln::ops::{Case, cases};
use kiln::{Alone, Device, Result};

use super::{Check, Outcome};

/// The largest error of an output, relative to its largest value.
const ALLOWED: f64 = 1e-5;

/// A check for each op, by its name.
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

fn compare(device: &Device, cases: &[Case]) -> Outcome {
    let (mut largest, mut problems) = (0.0f64, Vec::new());
    for (i, case) in cases.iter().enumerate() {
        // Software drivers take a second to compile a kernel: of their other tiles, some cases are enough.
        let all_kernels = device.info().kind != DeviceKind::Software || i % 5 == 0;
        match errors_of(device, case, all_kernels) {
            Ok(errors) => errors.into_iter().for_each(|(kernel, error)| {
                largest = largest.max(error);
                if error > ALLOWED {
                    problems.push(format!("{}{kernel}: differs from the reference by {error:.1e}", case.name));
                }
            }),
            Err(error) => problems.push(format!("{}: {error}", case.name)),
        }
    }
    let extent = format!("{} case{}", cases.len(), if cases.len() == 1 { "" } else { "s" });
    Outcome { extent, error: Some(largest), problems }
}

/// The largest error of a case's outputs (infinite where there are others than expected): as it is computed by default,
/// and with each of the other kernels that can compute it, behind their names.
fn errors_of(device: &Device, case: &Case, all_kernels: bool) -> Result<Vec<(String, f64)>> {
    let taken: Vec<_> = case.inputs.iter().chain(&case.rewritten).collect();
    let expected = case.op.reference(&taken, &case.step);
    let with = |choices: &Choices| Alone::with_choices(device, case.op.clone(), &case.inputs, &case.rewritten, choices);
    let mut by_default = with(&Choices::default())?;
    let mut errors = vec![(String::new(), error_of(&mut by_default, case, &expected)?)];
    for choice in by_default.plan().choices.iter().filter(|_| all_kernels) {
        for (place, kernel) in choice.kernels.iter().enumerate().skip(1) {
            let mut choices = Choices::default();
            choices.set(choice, place);
            errors.push((format!(" by {}", kernel.name), error_of(&mut with(&choices)?, case, &expected)?));
        }
    }
    Ok(errors)
}

fn error_of(alone: &mut Alone, case: &Case, expected: &[Array]) -> Result<f64> {
    alone.run_in(case.step, 1)?;
    let found = alone.results()?;
    if found.len() != expected.len() || found.iter().zip(expected).any(|(found, expected)| found.ty != expected.ty) {
        return Ok(f64::INFINITY);
    }
    Ok(found.iter().zip(expected).map(|(found, expected)| found.relative_error(expected)).fold(0.0, f64::max))
}
