//! Every kernel as native code, with all options of the processor's device.

use std::sync::Arc;

use kiln::Device;
use kiln::graph::{Array, Order};
use kiln::ops::cases;
use kiln_cpu::{CpuDevice, Options};

use crate::common::run;

fn cpu(options: Options) -> Device {
    Device::from_dyn(Arc::new(CpuDevice::new(options).unwrap()))
}

fn bits(arrays: &[Array]) -> Vec<u32> {
    arrays.iter().flat_map(|array| array.data.iter().map(|&value| (value as f32).to_bits())).collect()
}

/// A kernel whose result depends on the order of workgroups, or of invocations between two barriers, has a race; one
/// whose result depends on bounds checks has out-of-bounds accesses.
#[test]
fn neither_order_nor_threads_nor_tests_of_accesses_change_a_bit() {
    let cases = cases();
    for max_lanes in [4, 8, u32::MAX] {
        let all = Options { max_lanes, ..Options::default() };
        let options = |threads, order, checked| Options { threads: Some(threads), order, checked, ..all.clone() };
        let plain = cpu(options(1, Order::Rising, false));
        let others = [
            ("3 threads", cpu(options(3, Order::Rising, false))),
            ("checked", cpu(options(1, Order::Rising, true))),
            ("shuffled", cpu(options(1, Order::Shuffled(1), true))),
            ("shuffled, 3 threads", cpu(options(3, Order::Shuffled(0xdead_beef), false))),
        ];
        for case in &cases {
            let expected = bits(&run(case, &plain));
            for (how, device) in &others {
                assert_eq!(bits(&run(case, device)), expected, "{}, {how}, {max_lanes} lanes", case.name);
            }
        }
    }
}

/// Results with fewer lanes differ only by rounding: there is no fused multiply-add without AVX2.
#[test]
fn every_op_computes_what_its_reference_does_with_fewer_lanes() {
    for max_lanes in [4, 8] {
        let device = cpu(Options { max_lanes, ..Options::default() });
        for case in cases() {
            let taken: Vec<&Array> = case.inputs.iter().chain(&case.rewritten).collect();
            let expected = case.op.reference(&taken, &case.step);
            for (found, expected) in run(&case, &device).iter().zip(&expected) {
                let error = found.relative_error(expected);
                assert!(error <= 1e-5, "{}, {max_lanes} lanes: {error:.1e}", case.name);
            }
        }
    }
}
