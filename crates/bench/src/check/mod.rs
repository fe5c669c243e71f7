//! What a driver must get right.

mod limits;
mod ops;
mod replay;
mod special;
mod twice;

use std::fmt;

use kiln::{Device, Result};
use serde::Serialize;

pub use replay::Replay;

/// What a check does on a device.
type Run = dyn Fn(&Device) -> Result<Outcome>;

/// Something to check on a device.
pub struct Check {
    /// What is checked: an op's name, or `a training as in Keras`.
    pub name: String,
    run: Box<Run>,
}

/// What a check found.
struct Outcome {
    /// How much was checked: `36 cases, 410 special`.
    extent: String,
    /// The largest error, relative to the largest value, where results are compared with a reference.
    error: Option<f64>,
    /// Everything that is wrong; empty if nothing is.
    problems: Vec<String>,
}

/// What a check found on a device.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What was checked.
    pub check: String,
    /// How much was checked: `36 cases, 410 special`, the latter being those with NaN, an infinity, -0 or a denormal.
    pub extent: String,
    /// The largest error, relative to the largest value, where results are compared with a reference.
    pub error: Option<f64>,
    /// Everything that is wrong; empty if nothing is.
    pub problems: Vec<String>,
}

impl Check {
    fn new(name: impl Into<String>, run: impl Fn(&Device) -> Result<Outcome> + 'static) -> Check {
        Check { name: name.into(), run: Box::new(run) }
    }

    /// Checks a device. What fails on the way is a problem too.
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
    /// Whether nothing is wrong.
    pub fn passed(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Prints as a line of a table, and a line for each problem.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = self.error.map(|error| format!("{error:.1e}")).unwrap_or_default();
        let verdict = if self.passed() { "ok" } else { "FAILED" };
        write!(f, "{:<34} {:<24} {error:>10}  {verdict}", self.check, self.extent)?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n    {problem}"))
    }
}

/// Everything that is checked: each op's cases against its reference in f64, also with NaN, infinities, -0 and a denormal
/// in each input; a training against what Keras made of it, the same training twice, and one within small bindings.
pub fn checks() -> Vec<Check> {
    let mut checks = ops::checks();
    checks.extend([replay::check(), twice::check(), limits::check()]);
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
