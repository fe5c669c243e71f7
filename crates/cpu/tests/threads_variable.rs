//! The environment variable `KILN_THREADS`, in a process of its own, because all threads share the environment.

#![allow(clippy::unwrap_used)]

use kiln_cpu::{CpuDevice, Options};
use kiln_graph::Device;

/// The result of `KILN_THREADS=value`.
fn driver_with(value: &str) -> Result<String, String> {
    // SAFETY: the only test of this process, so no other thread reads or writes the environment.
    unsafe { std::env::set_var("KILN_THREADS", value) };
    CpuDevice::new(Options::default()).map(|device| device.info().driver.clone()).map_err(|error| error.to_string())
}

#[test]
fn kiln_threads_chooses_the_number_of_threads_unless_the_options_do() {
    assert!(driver_with("3").unwrap().ends_with(", 3 threads"));
    assert!(driver_with("1").unwrap().ends_with(", 1 thread"));
    let error = driver_with("abc").unwrap_err();
    assert!(error.contains("KILN_THREADS is `abc`, expected a number of threads"), "{error}");
    assert!(CpuDevice::new(Options { threads: Some(2), ..Options::default() }).is_ok());
}
