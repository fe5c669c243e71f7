//! Failures are reported as errors that state what was expected.

use std::panic::{AssertUnwindSafe, catch_unwind};

use kiln_cpu::{CpuDevice, Options};
use kiln_graph::{CallDescriptor, Device, DeviceError, Plan, ReadBack, Step};

use crate::kernels::{OUT_OF_BOUNDS, PANICS, TWO_OUTPUTS, add_plan, affine, call, floats, plan};
use crate::{buffer, device, run, values};

#[test]
fn an_access_outside_a_tensor_names_kernel_layer_variable_and_word_and_stops_the_run() {
    for threads in [1, 2, 8] {
        let device = device(threads);
        let buffers = [buffer(&device, &[1.0; 64]), buffer(&device, &[0.0; 64])];
        let wrong = call(&OUT_OF_BOUNDS, vec![floats(0, 64), floats(1, 64)], [64, 1, 1]);
        let mut program = device.program(&plan(&[64; 2], vec![wrong, affine(64)]), &buffers).unwrap();

        let error = program.run(&[Step::default(); 3], None).map(drop).unwrap_err();

        assert!(
            matches!(&error, DeviceError::OutOfBounds { scope, kernel: "out_of_bounds.main", variable: "y", word: 1005, words: 64, .. } if scope == "test"),
            "{error:?}"
        );
        let message = error.to_string();
        assert!(message.contains("outside `y`, at word 1005; expected 4-byte words below 64"), "{message}");
        assert_eq!(values(&buffers[1])[6], 1.0, "the call behind was not run");
        assert_eq!(run(&device, &plan(&[64; 2], vec![affine(64)]), &buffers, &[Step::default()]), [3.75; 64]);
    }
}

#[test]
fn a_plan_that_contradicts_its_kernels_or_buffers_is_an_error() {
    let device = device(1);
    let buffers = [buffer(&device, &[0.0; 48]), buffer(&device, &[0.0; 4])];
    let with = |call| plan(&[4; 2], vec![call]);
    let arguments = |arguments| CallDescriptor { arguments, ..affine(4) };
    let shifted = |offset| {
        let mut call = affine(2);
        call.arguments[1].offset = offset;
        call
    };
    let two_outputs = |offset| {
        let mut call = call(&TWO_OUTPUTS, vec![floats(0, 32), floats(0, 16)], [16, 1, 1]);
        call.arguments[1].offset = offset;
        plan(&[48, 4], vec![call])
    };
    let add = CallDescriptor { arguments: vec![floats(0, 4); 3], ..(*add_plan(4).calls[0]).clone() };
    let broken = [
        (with(arguments(vec![floats(0, 4)])), "1 tensors for 2 bindings"),
        (with(arguments(vec![floats(0, 4), floats(9, 4)])), "buffer 9 of 2"),
        (with(arguments(vec![floats(0, 4), floats(1, 5)])), "`y`, 20 bytes at 0, is not within its buffer of 16 bytes"),
        (with(arguments(vec![floats(0, 4), floats(1, 0)])), "`y` is empty"),
        (with(shifted(u64::MAX - 3)), "not within"),
        (with(shifted(8)), "not a multiple of 64"),
        (with(arguments(vec![floats(0, 4), floats(0, 4)])), "`y` is in a buffer that the call both reads and writes"),
        (with(add), "`z` is in a buffer that the call both reads and writes"),
        (with(CallDescriptor { workgroups: [u32::MAX, 1, 1], ..affine(4) }), "at most 65535"),
        (with(CallDescriptor { params: vec![0; 8], ..affine(4) }), "8 bytes of parameters, the kernel takes 4"),
        (
            with(CallDescriptor { overrides: vec![("shift", 1.0)], ..affine(4) }),
            "affine.main in `test`: override `factor`",
        ),
        (two_outputs(64), "two_outputs.main in `test`: `x` and `y` overlap, and the call writes both"),
        (plan(&[4], vec![]), "needs 1 buffers, 2 were given"),
        (plan(&[4, 5], vec![]), "buffer `b1` has 16 bytes, the plan needs 20"),
    ];

    for (plan, rule) in broken {
        let error = device.program(&plan, &buffers).map(drop).unwrap_err();
        assert!(error.to_string().contains(rule), "expected `{rule}`: {error}");
    }
    assert!(device.program(&two_outputs(128), &buffers).is_ok());
}

#[test]
fn a_buffer_of_another_device_is_an_error() {
    let (here, there) = (device(1), device(1));
    let (own, foreign) = (buffer(&here, &[0.0; 4]), buffer(&there, &[0.0; 4]));
    let plan: Plan = plan(&[4; 2], vec![affine(4)]);

    let error = here.program(&plan, &[own.clone(), foreign.clone()]).map(drop).unwrap_err();

    assert!(error.to_string().contains("another device"), "{error}");
    let mut program = here.program(&plan, &[buffer(&here, &[0.0; 4]), own.clone()]).unwrap();
    for (buffer, offset, bytes) in [(&foreign, 0, 4), (&own, 16, 4), (&own, 2, 4), (&own, u64::MAX, 4)] {
        assert!(program.run(&[Step::default()], Some(ReadBack { buffer, offset, bytes })).is_err());
    }
    assert_eq!(values(&own), [0.0; 4], "nothing was run");
}

#[test]
fn ranges_outside_a_buffer_or_of_broken_words_are_not_written_or_read() {
    let device = device(1);
    let buffer = buffer(&device, &[1.0; 4]);
    for (offset, bytes, rule) in [
        (0, 20, "not within"),
        (16, 4, "not within"),
        (u64::MAX, 4, "not within"),
        (2, 4, "multiples of 4"),
        (0, 3, "multiples of 4"),
    ] {
        let write = buffer.write(offset, &vec![0; bytes]).unwrap_err();
        let read = buffer.read(offset, bytes as u64).unwrap_err();
        for error in [write, read] {
            assert!(error.to_string().contains(rule) && error.to_string().contains("`values`"), "{error}");
        }
    }
    assert_eq!(values(&buffer), [1.0; 4]);
}

#[test]
fn a_call_that_binds_more_than_the_device_is_told_to_bind_is_an_error() {
    let device = CpuDevice::new(Options { max_binding_bytes: 256, ..Options::default() }).unwrap();
    assert_eq!(device.info().limits.max_binding_bytes, 256);
    for (count, fits) in [(64, true), (65, false)] {
        let buffers = [buffer(&device, &vec![0.0; count]), buffer(&device, &vec![0.0; count])];
        let result = device.program(&plan(&[count; 2], vec![affine(count)]), &buffers);
        let error = result.err().map(|error| error.to_string());
        assert_eq!(error.is_none(), fits, "{error:?}");
        assert!(error.is_none_or(|error| error.ends_with("has 260 bytes, a kernel sees at most 256")));
    }
}

#[test]
fn more_memory_than_there_is_is_an_error_that_names_the_buffer() {
    let device = device(1);
    for bytes in [u64::MAX, u64::MAX - 3, u64::MAX / 2, device.info().limits.max_buffer_bytes] {
        let error = device.allocate("huge", bytes).unwrap_err();
        assert!(matches!(error, DeviceError::OutOfMemory { .. }));
        let message = error.to_string();
        assert!(message.contains("`huge`") && message.contains(&bytes.to_string()), "{message}");
    }
    assert!(device.allocate("small", 4).is_ok());
}

#[test]
fn threads_and_lanes_that_cannot_be_had_are_errors() {
    for threads in [0, 1025, usize::MAX] {
        let error = CpuDevice::new(Options { threads: Some(threads), ..Options::default() }).unwrap_err();
        assert!(error.to_string().contains(&format!("{threads} threads requested, expected 1 to 1024")), "{error}");
    }
    for max_lanes in [0, 1, 2, 5, u32::MAX - 1] {
        let error = CpuDevice::new(Options { max_lanes, ..Options::default() }).unwrap_err();
        assert!(error.to_string().contains("power of two of at least 4"), "{error}");
    }
}

#[test]
fn a_kernel_that_panics_does_not_hang_the_others_and_leaves_the_device_whole() {
    for threads in [1, 3] {
        let device = device(threads);
        let buffers = [buffer(&device, &[1.0; 64]), buffer(&device, &[0.0; 64])];
        let wrong = call(&PANICS, vec![floats(0, 64), floats(1, 64)], [64, 1, 1]);
        let mut program = device.program(&plan(&[64; 2], vec![wrong, affine(64)]), &buffers).unwrap();

        assert!(catch_unwind(AssertUnwindSafe(|| program.run(&[Step::default()], None).map(drop))).is_err());

        assert!(values(&buffers[1])[5] == 0.0, "the call behind was not run");
        assert_eq!(run(&device, &plan(&[64; 2], vec![affine(64)]), &buffers, &[Step::default()]), [3.75; 64]);
    }
}
