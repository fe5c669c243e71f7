//! Failures are reported as errors that say what to do, never as panics.

use kiln_gpu::GpuDevice;
use kiln_graph::{CallDescriptor, Device, DeviceError, Plan, ReadBack, Step};

use crate::devices::app_device;
use crate::kernels::{BROKEN, OUT_OF_BOUNDS, affine, call, descend, double, floats, named, planned};
use crate::{all, buffer, device, values};

fn is_lost<T: std::fmt::Debug>(result: Result<T, DeviceError>) -> bool {
    matches!(result, Err(DeviceError::Lost { .. }))
}

#[test]
fn a_buffer_beyond_the_limits_is_an_error_and_leaves_the_device_whole() {
    let limit = device().info().limits.max_buffer_bytes;

    for bytes in [limit + 4, u64::MAX] {
        let error = device().allocate("huge", bytes).unwrap_err();
        assert!(matches!(error, DeviceError::BufferTooLarge { .. }));
        let message = error.to_string();
        assert!(message.contains("`huge`") && message.contains(&bytes.to_string()), "{message}");
    }
    assert_eq!(values(&buffer(device(), &[1.0])), [1.0]);
}

#[test]
fn a_kernel_that_is_not_wgsl_is_a_shader_error_that_names_it_and_the_place() {
    let plan = Plan { calls: planned(vec![call(&BROKEN, vec![floats(0, 1), floats(1, 1)])]), ..double(1) };
    let buffers = [buffer(device(), &[0.0]), buffer(device(), &[0.0])];

    let error = device().program(&plan, &buffers).unwrap_err();

    let DeviceError::Shader { kernel, message, .. } = &error else { panic!("{error}") };
    assert_eq!(kernel, "broken.main");
    assert!(message.contains("undeclared") && message.contains("1:21"), "{message}");
    assert!(device().program(&double(1), &buffers).is_ok(), "other programs still work");
}

#[test]
fn an_override_without_a_value_is_a_shader_error_that_names_it() {
    let mut call = affine(vec![floats(0, 1), floats(1, 1)], 1.0, 1, 0.0);
    call.overrides.clear();
    let buffers = [buffer(device(), &[0.0]), buffer(device(), &[0.0])];

    let error = device().program(&Plan { calls: planned(vec![call]), ..double(1) }, &buffers).unwrap_err();

    assert!(matches!(&error, DeviceError::Shader { kernel, .. } if kernel == "affine.main"), "{error}");
    assert!(error.to_string().contains("factor"), "{error}");
}

#[test]
fn a_plan_that_contradicts_its_kernels_is_an_error() {
    let buffers = [buffer(device(), &[0.0; 4]), buffer(device(), &[0.0; 4])];
    let arguments = || vec![floats(0, 4), floats(1, 4)];
    let affine = || affine(arguments(), 1.0, 1, 0.0);
    let with = |call| Plan { calls: planned(vec![call]), ..double(4) };
    let broken = [
        (with(call(&crate::kernels::DOUBLE, vec![floats(0, 4)])), "1 tensors for 2 bindings"),
        (with(call(&crate::kernels::DOUBLE, vec![floats(0, 4), floats(9, 4)])), "buffer 9 of 2"),
        (with(call(&crate::kernels::DOUBLE, vec![floats(0, 4), floats(1, 5)])), "not within"),
        (with(call(&crate::kernels::DOUBLE, vec![floats(0, 4), floats(1, 0)])), "`y` is empty"),
        (with(call(&crate::kernels::DOUBLE, vec![floats(0, 4), floats(0, 4)])), "both reads and writes"),
        (with(CallDescriptor { workgroups: [u32::MAX, 1, 1], ..affine() }), "4294967295, 1, 1] workgroups"),
        (with(CallDescriptor { params: vec![0; 4], ..affine() }), "4 bytes of parameters, the kernel takes 8"),
        (Plan { buffers: vec![named("x", 4)], ..double(4) }, "needs 1 buffers, 2 were given"),
    ];

    for (plan, rule) in broken {
        let error = device().program(&plan, &buffers).map(drop).unwrap_err();
        assert!(error.to_string().contains(rule), "expected `{rule}`: {error}");
    }
}

#[test]
fn a_buffer_of_another_device_is_an_error() {
    let other = crate::open();
    let buffers = [buffer(device(), &[0.0]), buffer(&other, &[0.0])];

    let error = device().program(&double(1), &buffers).unwrap_err();

    assert!(error.to_string().contains("another device"), "{error}");
}

#[test]
fn a_range_to_read_back_outside_its_buffer_is_an_error_and_nothing_runs() {
    let buffers = [buffer(device(), &[1.0]), buffer(device(), &[0.0])];
    let mut program = device().program(&double(1), &buffers).unwrap();

    let range = ReadBack { buffer: &buffers[1], offset: 4, bytes: 4 };

    assert!(program.run(&[Step::default()], Some(range)).is_err());
    assert_eq!(values(&buffers[1]), [0.0]);
}

#[test]
fn checked_shaders_do_not_write_past_the_end() {
    let plan = Plan { calls: planned(vec![call(&OUT_OF_BOUNDS, vec![floats(0, 4), floats(1, 4)])]), ..double(4) };
    let buffers = [buffer(device(), &[1.0; 4]), buffer(device(), &[0.0; 4])];

    device().program(&plan, &buffers).unwrap().run(&[Step::default()], None).unwrap().wait().unwrap();

    assert!(values(&buffers[1])[..3].iter().all(|&y| y == 0.0));
}

fn everything_is_lost_after_destroy(device: &GpuDevice, reason: &str) {
    let buffers = [buffer(device, &[0.0; 64]), buffer(device, &[0.0; 4])];
    let plan = descend(64, 4);
    let mut program = device.program(&plan, &buffers).unwrap();
    let steps = [Step::default(); 4];
    let on_its_way = program.run(&steps, all(&buffers[1])).unwrap();
    let dropped = program.run(&steps, all(&buffers[1])).unwrap();

    device.wgpu_device().destroy();

    let error = buffers[0].read(0, 4).unwrap_err();
    assert!(matches!(error, DeviceError::Lost { .. }) && error.to_string().contains(reason), "{error}");
    assert!(is_lost(device.allocate("more", 4)));
    assert!(is_lost(buffers[0].write(0, &[0; 4])));
    assert!(is_lost(program.run(&steps, None)));
    assert!(is_lost(program.run(&steps, all(&buffers[1]))));
    assert!(is_lost(device.program(&plan, &buffers)));
    assert!(is_lost(device.profile(&plan, &buffers, &steps)));
    assert!(is_lost(on_its_way.wait()));
    drop(dropped);
}

#[test]
fn after_its_destruction_a_device_answers_that_it_is_lost() {
    everything_is_lost_after_destroy(&crate::open(), "destroyed");
}

#[test]
fn after_its_destruction_by_the_app_a_device_answers_that_it_is_lost() {
    let (device, queue) = app_device();
    everything_is_lost_after_destroy(&GpuDevice::from_wgpu(device, queue, true), "no more work");
}

#[test]
fn each_call_finds_out_by_itself_that_the_device_is_lost() {
    let actions: [fn(&GpuDevice) -> bool; 5] = [
        |device| {
            device.wgpu_device().destroy();
            is_lost(device.allocate("x", 4))
        },
        |device| {
            let buffer = buffer(device, &[0.0]);
            device.wgpu_device().destroy();
            is_lost(buffer.write(0, &[0; 4]))
        },
        |device| {
            let buffers = [buffer(device, &[0.0]), buffer(device, &[0.0])];
            device.wgpu_device().destroy();
            is_lost(device.program(&double(1), &buffers))
        },
        |device| {
            let buffers = [buffer(device, &[0.0]), buffer(device, &[0.0])];
            let mut program = device.program(&double(1), &buffers).unwrap();
            device.wgpu_device().destroy();
            is_lost(program.run(&[Step::default()], None).and_then(|pending| pending.wait()))
        },
        |device| {
            let buffers = [buffer(device, &[0.0]), buffer(device, &[0.0])];
            let mut program = device.program(&double(1), &buffers).unwrap();
            device.wgpu_device().destroy();
            is_lost(program.run(&[Step::default()], all(&buffers[1])).and_then(|pending| pending.wait()))
        },
    ];

    for (index, action) in actions.iter().enumerate() {
        let (device, queue) = app_device();
        assert!(action(&crate::open()), "own device, action {index}");
        assert!(action(&GpuDevice::from_wgpu(device, queue, true)), "the app's device, action {index}");
    }
}
