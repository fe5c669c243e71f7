//! Profiles: a time for each call, and the same results as a run.

use kiln_gpu::{GpuDevice, Timing, wgpu};
use kiln_graph::{Device, Plan, Step};

use crate::devices::app_device;
use crate::kernels::{affine, call, floats, named, planned};
use crate::{buffer, device, values};

/// b = a + 1, a = 2 b
fn plan(count: usize) -> Plan {
    let mut double = call(&crate::kernels::DOUBLE, vec![floats(1, count), floats(0, count)]);
    double.flops = count as u64;
    Plan {
        buffers: vec![named("a", count as u64), named("b", count as u64)],
        calls: planned(vec![affine(vec![floats(0, count), floats(1, count)], 1.0, count as u32, 1.0), double]),
        ..Plan::default()
    }
}

fn profiled(device: &GpuDevice) -> Timing {
    let buffers = [buffer(device, &[0.0; 200]), buffer(device, &[0.0; 200])];

    let profile = device.profile(&plan(200), &buffers, &[Step::default(); 3]).unwrap();

    assert_eq!(values(&buffers[0]), [14.0; 200], "three steps were run");
    let kernels: Vec<&str> = profile.calls.iter().map(|call| call.kernel).collect();
    assert_eq!(kernels, ["affine.main", "double.main"]);
    assert!(profile.calls.iter().all(|call| (0.0..1.0).contains(&call.seconds)), "{profile}");
    assert!(profile.seconds() > 0.0);
    assert!(profile.to_string().lines().count() == 4, "{profile}");
    profile.timing
}

#[test]
fn a_device_with_a_clock_times_its_calls_itself() {
    let has_clock = device().wgpu_device().features().contains(wgpu::Features::TIMESTAMP_QUERY);

    assert_eq!(profiled(device()), if has_clock { Timing::Timestamps } else { Timing::WallClock });
}

#[test]
fn a_device_without_a_clock_is_timed_from_the_host() {
    let (device, queue) = app_device();

    assert_eq!(profiled(&GpuDevice::from_wgpu(device, queue, true)), Timing::WallClock);
}

#[test]
fn a_plan_of_more_calls_than_one_query_set_holds_is_timed_whole() {
    let Plan { buffers: plan_buffers, calls, .. } = plan(1);
    let many = Plan { buffers: plan_buffers, calls: calls.into_iter().cycle().take(5000).collect(), ..Plan::default() };
    let buffers = [buffer(device(), &[0.0]), buffer(device(), &[0.0])];

    let profile = device().profile(&many, &buffers, &[Step::default()]).unwrap();

    assert_eq!(profile.calls.len(), 5000);
}
