//! `kiln check` on the tests' device.

use kiln_bench::{Finding, checks};

use crate::common::device;

#[test]
fn the_device_computes_right() {
    let findings: Vec<Finding> = checks().iter().map(|check| check.run(device())).collect();
    let wrong: Vec<String> = findings.iter().filter(|finding| !finding.passed()).map(ToString::to_string).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let cases =
        |finding: &Finding| finding.extent.split_once(" case").and_then(|(count, _)| count.parse::<usize>().ok());
    let count: usize = findings.iter().filter_map(cases).sum();
    assert!(count > 150 && findings.len() > 50, "{count} cases of {} checks", findings.len());
}
