//! Every op against its reference in f64.

use kiln::ops::{Case, cases};
use kiln::{Device, Result};

use super::{Check, Outcome};
use crate::alone::Alone;

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
    for case in cases {
        match error_of(device, case) {
            Ok(error) => {
                largest = largest.max(error);
                if error > ALLOWED {
                    problems.push(format!("{}: differs from the reference by {error:.1e}", case.name));
                }
            }
            Err(error) => problems.push(format!("{}: {error}", case.name)),
        }
    }
    let extent = format!("{} case{}", cases.len(), if cases.len() == 1 { "" } else { "s" });
    Outcome { extent, error: Some(largest), problems }
}

/// The largest error of a case's outputs; infinite where there are others than expected.
fn error_of(device: &Device, case: &Case) -> Result<f64> {
    let taken: Vec<_> = case.inputs.iter().chain(&case.rewritten).collect();
    let expected = case.op.reference(&taken, &case.step);
    let mut alone = Alone::new(device, case.op.clone(), &case.inputs, &case.rewritten)?;
    alone.run_in(case.step, 1)?;
    let found = alone.results()?;
    if found.len() != expected.len() || found.iter().zip(&expected).any(|(found, expected)| found.ty != expected.ty) {
        return Ok(f64::INFINITY);
    }
    Ok(found.iter().zip(&expected).map(|(found, expected)| found.relative_error(expected)).fold(0.0, f64::max))
}
