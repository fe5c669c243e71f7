//! Which devices there are, how one is chosen, and one that an app brings.

use kiln_gpu::{GpuDevice, Options, Selector, adapters, wgpu};
use kiln_graph::{Device, DeviceError, DeviceKind, Limits, Step};

use crate::kernels::{affine, double, floats, named, planned};
use crate::{all, buffer, device};

#[test]
fn software_drivers_come_after_all_hardware() {
    let kinds: Vec<DeviceKind> = adapters().into_iter().map(|info| info.kind).collect();

    let first_software = kinds.iter().position(|&kind| kind == DeviceKind::Software).unwrap_or(kinds.len());
    assert!(!kinds.is_empty() && kinds[first_software..].iter().all(|&kind| kind == DeviceKind::Software), "{kinds:?}");
}

#[test]
fn the_best_device_is_the_first_of_the_list() {
    assert_eq!(device().info(), &adapters()[0]);
}

#[test]
fn a_device_is_found_by_part_of_its_name_its_backend_or_its_place() {
    let first = &adapters()[0];
    let selectors = [
        Selector::Name(first.name[1..].to_uppercase()),
        Selector::Name(first.backend.to_lowercase()),
        Selector::Index(0),
    ];

    for selector in selectors {
        let found = GpuDevice::open(&selector, Options::default()).unwrap();
        assert_eq!(found.info(), first, "{selector}");
    }
}

#[test]
fn a_device_that_is_not_there_is_an_error_that_lists_those_that_are() {
    for selector in [Selector::Name("no such gpu".to_owned()), Selector::Index(999)] {
        let error = GpuDevice::open(&selector, Options::default()).unwrap_err();

        assert!(matches!(error, DeviceError::NotFound { .. }));
        assert!(error.to_string().contains(&adapters()[0].name), "{error}");
    }
}

#[test]
fn the_limits_that_are_asked_for_are_those_that_plans_see() {
    let options = Options { limits: Some(wgpu::Limits::default()), ..Options::default() };
    let small = GpuDevice::open(&Selector::Best, options).unwrap();

    // Subgroups are a feature, which no limit takes away.
    let subgroup_sizes = small.info().limits.subgroup_sizes;
    assert_eq!(small.info().limits, Limits { subgroup_sizes, ..Limits::WEBGPU });
}

#[test]
fn limits_beyond_the_adapter_are_an_error() {
    let limits = wgpu::Limits { max_compute_workgroup_size_x: u32::MAX, ..wgpu::Limits::default() };

    let error = GpuDevice::open(&Selector::Best, Options { limits: Some(limits), ..Options::default() }).unwrap_err();

    assert!(error.to_string().contains("max_compute_workgroup_size_x"), "{error}");
}

#[test]
fn a_device_that_is_opened_again_with_a_binding_limit_binds_no_more() {
    let small = device().with_binding_limit(1 << 16).unwrap();
    assert_eq!(small.info().limits, Limits { max_binding_bytes: 1 << 16, ..device().info().limits });
    let large = device().with_binding_limit(u64::MAX).unwrap();
    assert_eq!(large.info().limits, device().info().limits);

    let (app, queue) = app_device();
    let error = GpuDevice::from_wgpu(app, queue, true).with_binding_limit(1 << 16).unwrap_err();
    assert!(matches!(error, DeviceError::Invalid { .. }) && error.to_string().contains("that Kiln opened"), "{error}");
}

/// A device as an app opens it: with default limits and no features.
pub fn app_device() -> (wgpu::Device, wgpu::Queue) {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default())).unwrap();
    pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).unwrap()
}

#[test]
fn an_apps_own_device_runs_plans_and_shares_its_buffers_with_the_app() {
    let (wgpu_device, queue) = app_device();
    let device = GpuDevice::from_wgpu(wgpu_device.clone(), queue.clone(), true);
    let buffers = [buffer(&device, &[1.0, 2.0, 3.0]), buffer(&device, &[0.0; 3])];
    let mut program = device.program(&double(3), &buffers).unwrap();

    let pending = program.run(&[Step::default()], all(&buffers[1])).unwrap();

    assert_eq!(crate::floats(&pending.wait().unwrap()), [2.0, 4.0, 6.0]);
    assert_eq!(device.info().limits, Limits::WEBGPU);
    let shared = buffers[0].as_any().downcast_ref::<kiln_gpu::GpuBuffer>().unwrap();
    queue.write_buffer(shared.wgpu_buffer(), 0, bytemuck::cast_slice(&[10.0f32]));
    let pending = program.run(&[Step::default()], all(&buffers[1])).unwrap();
    assert_eq!(crate::floats(&pending.wait().unwrap()), [20.0, 4.0, 6.0]);
}

#[test]
fn shaders_without_run_time_checks_compute_the_same() {
    let fast = GpuDevice::open(&Selector::Best, Options { checked: false, ..Options::default() }).unwrap();
    let plan = kiln_graph::Plan {
        buffers: vec![named("x", 3), named("y", 3)],
        calls: planned(vec![affine(vec![floats(0, 3), floats(1, 3)], 3.0, 3, 1.0)]),
        ..kiln_graph::Plan::default()
    };
    let buffers = [buffer(&fast, &[1.0, 2.0, 3.0]), buffer(&fast, &[0.0; 3])];

    let pending = fast.program(&plan, &buffers).unwrap().run(&[Step::default()], all(&buffers[1])).unwrap();

    assert_eq!(crate::floats(&pending.wait().unwrap()), [4.0, 7.0, 10.0]);
}
