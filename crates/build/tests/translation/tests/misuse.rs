//! The processor detects mistakes in kernels.

use kiln_cpu::Options;
use kiln_graph::{DeviceError, Kernel, Order};
use kiln_translation_tests::misuse::{
    AddressWrapsAround, AllWorkgroupsWriteOneElement, Barrier, NoBarrier, ReadOutside, WorkgroupMemoryOutside,
    WriteOutside,
};

use crate::devices::{Case, processor};

fn result(kernel: &'static Kernel, order: Order) -> Vec<u32> {
    let device = processor(Options { threads: Some(1), order, ..Options::default() });
    Case::new(kernel).run(&device).unwrap().pop().unwrap()
}

#[test]
fn a_missing_barrier_shows_when_the_order_is_shuffled() {
    for kernel in [NoBarrier::KERNEL, AllWorkgroupsWriteOneElement::KERNEL] {
        let rising = result(kernel, Order::Rising);
        assert!((1..5).any(|seed| result(kernel, Order::Shuffled(seed)) != rising), "{}", kernel.name);
    }
    let rising = result(Barrier::KERNEL, Order::Rising);
    assert!((1..5).all(|seed| result(Barrier::KERNEL, Order::Shuffled(seed)) == rising));
}

#[test]
fn an_access_outside_is_reported_with_kernel_variable_and_word() {
    for (kernel, name, first) in [
        (ReadOutside::KERNEL, "f_a", 17_000),
        (WriteOutside::KERNEL, "f_out", 16_320),
        (WorkgroupMemoryOutside::KERNEL, "row", 64),
        (AddressWrapsAround::KERNEL, "f_a", u32::MAX),
    ] {
        for max_lanes in [4, 8, 16] {
            let device = processor(Options { threads: Some(1), checked: true, max_lanes, ..Options::default() });

            let error = Case::new(kernel).run(&device).unwrap_err();

            let DeviceError::OutOfBounds { kernel: found, variable, word, .. } = error else { panic!("{error}") };
            assert_eq!((found, variable), (kernel.name, name));
            assert_eq!(word, first, "{}, {max_lanes} lanes", kernel.name);
        }
    }
}
