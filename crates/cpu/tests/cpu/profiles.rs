//! Profiles give every call its time.

use kiln_graph::{CallDescriptor, Device, Step, Timing};

use crate::kernels::{affine, plan};
use crate::{buffer, device, values};

#[test]
fn a_profile_has_a_time_for_each_call_and_runs_every_step() {
    const COUNT: usize = 200_000;
    for (threads, steps) in [(1, 1), (2, 1), (2, 4)] {
        let device = device(threads);
        let buffers = [buffer(&device, &vec![1.0; COUNT]), buffer(&device, &vec![0.0; COUNT])];
        let empty = CallDescriptor { workgroups: [0, 0, 0], ..affine(COUNT) };
        let flops = 2 * COUNT as u64;
        let plan = plan(&[COUNT; 2], vec![CallDescriptor { flops, ..affine(COUNT) }, empty]);

        let profile = device.profile(&plan, &buffers, &vec![Step::default(); steps]).unwrap();

        assert_eq!(profile.timing, Timing::WallClock);
        assert_eq!(profile.calls.len(), 2);
        assert!(profile.calls[0].seconds > 0.0 && profile.calls[1].seconds == 0.0, "{profile}");
        assert_eq!((profile.calls[0].kernel, profile.calls[0].flops), ("affine.main", flops));
        assert!(values(&buffers[1]).iter().all(|&y| y == 3.75));
    }
}

#[test]
fn a_profile_of_no_steps_is_all_zero() {
    let device = device(2);
    let buffers = [buffer(&device, &[1.0]), buffer(&device, &[0.0])];

    let profile = device.profile(&plan(&[1; 2], vec![affine(1)]), &buffers, &[]).unwrap();

    assert_eq!(profile.seconds(), 0.0);
}
