//! Checks of a device and its driver.

mod limits;
mod mixed;
mod ops;
mod replay;
mod special;
mod tiles;
mod twice;

use std::fmt;

use kiln::{Device, Result};
use serde::Serialize;

pub use replay::Replay;

/// The function of a check.
type Run = dyn Fn(&Device) -> Result<Outcome>;

/// A check of a device.
pub struct Check {
    /// Its name: an op's, or `a training as in Keras`.
    pub name: String,
    run: Box<Run>,
}

/// The result of a check.
struct Outcome {
    /// The number of cases: `36 cases, 410 special`.
    extent: String,
    /// The largest error, relative to the largest value, where results are compared with a reference.
    error: Option<f64>,
    /// All problems found.
    problems: Vec<String>,
}

/// The result of a check on a device.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The name of the check.
    pub check: String,
    /// The number of cases: `36 cases, 410 special`, where special cases have NaN, an infinity, -0 or a denormal.
    pub extent: String,
    /// The largest error, relative to the largest value, where results are compared with a reference.
    pub error: Option<f64>,
    /// All problems found.
    pub problems: Vec<String>,
}

impl Check {
    fn new(name: impl Into<String>, run: impl Fn(&Device) -> Result<Outcome> + 'static) -> Check {
        Check { name: name.into(), run: Box::new(run) }
    }

    /// Checks a device. Errors of the device count as problems.
    pub fn run(&self, device: &Device) -> Finding {
        let failed = |error: kiln::Error| {
            let (extent, error, problems) = (String::new(), None, vec![error.to_string()]);
            Outcome { extent, error, problems }
        };
        let Outcome { extent, error, problems } = (self.run)(device).unwrap_or_else(failed);
        Finding { check: self.name.clone(), extent, error, problems }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Check({})", self.name)
    }
}

impl Finding {
    /// Whether there are no problems.
    pub fn passed(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Formats a line of a table, and a line for each problem.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = self.error.map(|error| format!("{error:.1e}")).unwrap_or_default();
        let verdict = if self.passed() { "ok" } else { "FAILED" };
        write!(f, "{:<34} {:<24} {error:>10}  {verdict}", self.check, self.extent)?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n    {problem}"))
    }
}

/// All checks: each op's cases against its reference in f64, also with NaN, infinities, -0 and a denormal in each
/// input; every tile of products bit by bit; products in mixed precision; a training against one recorded from Keras, the
/// same training twice, in mixed precision, and one with small bindings.
pub fn checks() -> Vec<Check> {
    let mut checks = ops::checks();
    checks.extend([tiles::check(), replay::check(), twice::check(), limits::check()]);
    checks.extend(mixed::checks());
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_prints_as_a_line_and_its_problems_below() {
        let finding = |error, problems: &[&str]| Finding {
            check: "conv2d".to_owned(),
            extent: "24 cases".to_owned(),
            error,
            problems: problems.iter().map(ToString::to_string).collect(),
        };
        let line = finding(Some(2.5e-7), &[]).to_string();
        assert_eq!(line, "conv2d                             24 cases                     2.5e-7  ok");
        let lines = finding(None, &["one", "two"]).to_string();
        assert_eq!(
            lines,
            "conv2d                             24 cases                             FAILED\n    one\n    two"
        );
    }
}
