//! `kiln check`: the correctness of a device.

use std::process::ExitCode;

use kiln_bench::{Finding, checks};
use serde_json::json;

use super::{devices, show};
use crate::error::Error;

/// Check that a device and its driver compute correctly.
///
/// Runs every op on inputs of many sizes and compares it with a reference in 64-bit floats, also with a NaN, an
/// infinity, a -0 or a denormal in each input in turn (the "special" cases); compares the bits of all tiles of products
/// and convolutions, which must be equal on Vulkan; compares a training with one recorded from Keras; checks that the
/// same training is bit-identical when repeated and when its tensors are split to fit small bindings; and checks products,
/// the rounding of their factors and a training in mixed precision. The table has the largest error of each, relative to
/// the largest value. Please include it in bug reports about a driver.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln check
  kiln check --device nvidia
  kiln check conv2d                # only names that contain this text
  kiln check --json > check.json

Exit status: 0 if all checks passed, 1 if any failed.")]
pub struct Arguments {
    /// Run only the checks with this text in their names.
    filter: Option<String>,
    /// The device: cpu, part of a GPU's name, or a number from `kiln devices` [default: $KILN_DEVICE, or the best one].
    #[arg(long, value_name = "NAME|N")]
    device: Option<String>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let mut checks = checks();
    let names: Vec<String> = checks.iter().map(|check| check.name.clone()).collect();
    checks.retain(|check| arguments.filter.as_ref().is_none_or(|filter| check.name.contains(filter)));
    if checks.is_empty() {
        let found = arguments.filter.clone().unwrap_or_default();
        return Err(Error::Filter { found, names });
    }
    let device = devices::open(arguments.device.as_deref())?;
    if !arguments.json {
        show(&format!("{}\n\n{:<34} {:<24} {:>10}\n", device.info(), "check", "", "error"));
    }
    let mut findings: Vec<Finding> = Vec::new();
    for check in &checks {
        let finding = check.run(&device);
        if !arguments.json {
            show(&format!("{finding}\n"));
        }
        findings.push(finding);
    }
    let passed = findings.iter().filter(|finding| finding.passed()).count();
    if arguments.json {
        let report = json!({ "device": devices::json(device.info()), "findings": findings });
        show(&format!("{report:#}\n"));
    } else {
        show(&format!("\n{passed} of {} passed\n", findings.len()));
    }
    Ok(if passed == findings.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
