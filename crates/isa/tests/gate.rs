//! The machine code of every kernel that the networks run satisfies the rules, if it is of the driver's version with
//! which the tables were saved.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::Command;

#[test]
fn the_machine_code_of_every_kernel_satisfies_the_rules() {
    let output = Command::new(env!("CARGO_BIN_EXE_kiln-isa")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        Some(0) => assert!(text.contains("navi31") && text.contains("MI200"), "{text}"),
        Some(77) => println!("{text}"),
        _ => panic!("{text}{}", String::from_utf8_lossy(&output.stderr)),
    }
}
