//! Results and costs of programs.

use std::sync::Arc;

use kiln_graph::{Argument, Buffers, Device, Plan, PlanBuffer, ReadBack, Step, TensorType};

use crate::kernels::{affine, call, descend, double, floats, named, planned};
use crate::{all, buffer, device, poll_until_done, values};

fn step(first: u32, row: u32, rate: f32) -> Step {
    Step { first, row, rates: [rate; 4], ..Step::default() }
}

#[test]
fn a_program_computes_what_its_kernel_says_for_odd_sizes() {
    for count in [1, 3, 255] {
        let x: Vec<f32> = (0..count).map(|i| i as f32).collect();
        let buffers = [buffer(device(), &x), buffer(device(), &vec![0.0; count])];
        let mut program = device().program(&double(count), &buffers).unwrap();

        let pending = program.run(&[Step::default()], all(&buffers[1])).unwrap();

        let expected: Vec<f32> = x.iter().map(|x| 2.0 * x).collect();
        assert_eq!(crate::floats(&pending.wait().unwrap()), expected);
    }
}

#[test]
fn calls_run_in_order_each_with_its_own_overrides_and_parameters() {
    let plan = Plan {
        buffers: vec![named("x", 3), PlanBuffer { name: None, bytes: 12 }, named("y", 3)],
        calls: planned(vec![
            affine(vec![floats(0, 3), floats(1, 3)], 10.0, 3, 0.5),
            affine(vec![floats(1, 3), floats(2, 3)], -1.0, 2, 100.0),
        ]),
        ..Plan::default()
    };
    let buffers = [&[1.0, 2.0, 3.0][..], &[0.0; 3], &[7.0; 3]].map(|values| buffer(device(), values));

    device().program(&plan, &buffers).unwrap().run(&[Step::default()], None).unwrap().wait().unwrap();

    assert_eq!(values(&buffers[1]), [10.5, 20.5, 30.5]);
    assert_eq!(values(&buffers[2]), [89.5, 79.5, 7.0], "the second call's count leaves the last one alone");
}

#[test]
fn one_run_takes_all_its_steps_in_order_each_with_its_own_values() {
    let buffers = [buffer(device(), &[10.0; 3]), buffer(device(), &[0.0; 5])];
    let mut program = device().program(&descend(3, 5), &buffers).unwrap();
    let steps = [step(0, 4, 1.0), step(1, 2, 0.5), step(6, 0, 0.25)];

    let pending = program.run(&steps, all(&buffers[1])).unwrap();

    assert_eq!(crate::floats(&poll_until_done(pending)), [6.0, 0.0, 1.0, 0.0, 0.0]);
    assert_eq!(values(&buffers[0]), [10.0 - 1.0 - 1.0 - 1.75; 3]);
}

#[test]
fn steps_of_runs_that_are_on_their_way_stay_as_they_were_given() {
    let buffers = [buffer(device(), &[0.0; 200]), buffer(device(), &[0.0; 64])];
    let mut program = device().program(&descend(200, 64), &buffers).unwrap();

    let pending: Vec<_> = (0..64).map(|row| program.run(&[step(row, row, 1.0)], all(&buffers[1])).unwrap()).collect();

    for (run, pending) in pending.into_iter().enumerate() {
        let expected: Vec<f32> = (0..64).map(|row| if row <= run { row as f32 } else { 0.0 }).collect();
        assert_eq!(crate::floats(&pending.wait().unwrap()), expected);
    }
}

#[test]
fn a_plan_whose_kernels_read_no_step_still_runs_once_per_step() {
    let plan = Plan {
        buffers: vec![named("a", 1), named("b", 1)],
        calls: planned(vec![
            affine(vec![floats(0, 1), floats(1, 1)], 1.0, 1, 1.0),
            call(&crate::kernels::DOUBLE, vec![floats(1, 1), floats(0, 1)]),
        ]),
        ..Plan::default()
    };
    let buffers = [buffer(device(), &[0.0]), buffer(device(), &[0.0])];

    let pending = device().program(&plan, &buffers).unwrap().run(&[Step::default(); 5], all(&buffers[0])).unwrap();

    // a <- 2 (a + 1), five times
    assert_eq!(crate::floats(&pending.wait().unwrap()), [62.0]);
}

#[test]
fn a_run_of_no_steps_computes_nothing_and_still_reads_back() {
    let buffers = [buffer(device(), &[1.0]), buffer(device(), &[5.0])];
    let mut program = device().program(&double(1), &buffers).unwrap();

    assert_eq!(crate::floats(&program.run(&[], all(&buffers[1])).unwrap().wait().unwrap()), [5.0]);
    assert!(program.run(&[], None).unwrap().wait().unwrap().is_empty());
}

#[test]
fn an_argument_is_bound_at_its_offset_with_its_size() {
    let align = device().info().limits.binding_align;
    let words = (align / 4) as usize;
    let at =
        |offset, count: u64| Argument { buffer: 0, offset, bytes: 4 * count, ty: TensorType::f32([count as usize]) };
    let result = Argument { buffer: 1, ..at(align, 2) };
    let plan = Plan {
        buffers: vec![named("x", 2 * words as u64), named("y", 2 * words as u64)],
        calls: planned(vec![call(&crate::kernels::DOUBLE, vec![at(align, 3), result])]),
        ..Plan::default()
    };
    let x: Vec<f32> = (0..2 * words).map(|i| i as f32).collect();
    let buffers = [buffer(device(), &x), buffer(device(), &vec![-1.0; 2 * words])];

    device().program(&plan, &buffers).unwrap().run(&[Step::default()], None).unwrap().wait().unwrap();

    let mut expected = vec![-1.0; 2 * words];
    expected[words] = 2.0 * words as f32;
    expected[words + 1] = 2.0 * (words + 1) as f32;
    assert_eq!(values(&buffers[1]), expected);
}

#[test]
fn a_range_in_the_middle_of_a_buffer_is_read_back() {
    let buffers = [buffer(device(), &[1.0, 2.0, 3.0, 4.0]), buffer(device(), &[0.0; 4])];
    let range = ReadBack { buffer: &buffers[1], offset: 4, bytes: 8 };

    let pending = device().program(&double(4), &buffers).unwrap().run(&[Step::default()], Some(range)).unwrap();

    assert_eq!(crate::floats(&pending.wait().unwrap()), [4.0, 6.0]);
}

#[test]
fn two_programs_share_the_buffers_of_one_name() {
    let mut buffers = Buffers::new(Arc::new(device().clone()));
    let mut first = buffers.program(&double(4)).unwrap();
    let back = Plan {
        buffers: vec![named("y", 4), named("x", 4)],
        calls: planned(vec![affine(vec![floats(0, 4), floats(1, 4)], 1.0, 4, 1.0)]),
        ..Plan::default()
    };
    let mut second = buffers.program(&back).unwrap();
    buffers.get("x").unwrap().write(0, bytemuck::cast_slice(&[1.0f32, 2.0, 3.0, 4.0])).unwrap();

    first.run(&[Step::default()], None).unwrap();
    let x = ReadBack { buffer: buffers.get("x").unwrap(), offset: 0, bytes: 16 };
    let pending = second.run(&[Step::default()], Some(x)).unwrap();

    assert_eq!(crate::floats(&pending.wait().unwrap()), [3.0, 5.0, 7.0, 9.0]);
}

#[test]
fn three_hundred_runs_allocate_nothing_after_the_first_few() {
    // A device of its own: other tests allocate on the shared one meanwhile.
    let device = crate::open();
    let buffers = [buffer(&device, &[0.0; 100]), buffer(&device, &[0.0; 8])];
    let mut many_of = device.program(&descend(100, 8), &buffers).unwrap();
    let mut program = device.program(&descend(100, 8), &buffers).unwrap();
    let mut run = |index: u32| {
        let steps: Vec<Step> = (0..8).map(|row| step(index, row, 1e-3)).collect();
        let pending = program.run(&steps, all(&buffers[1])).unwrap();
        let dropped = program.run(&steps, all(&buffers[0])).unwrap();
        assert_eq!(crate::floats(&pending.wait().unwrap()), [index as f32; 8]);
        drop(dropped);
    };
    // More in flight than the loop ever has.
    let many: Vec<_> = (0..4).map(|_| many_of.run(&[Step::default()], all(&buffers[0])).unwrap()).collect();
    many.into_iter().for_each(|pending| drop(pending.wait().unwrap()));
    (0..3).for_each(&mut run);
    let before = device.allocations();

    (3..300).for_each(&mut run);

    assert_eq!(device.allocations(), before);
}

#[test]
fn two_threads_use_one_device() {
    std::thread::scope(|scope| {
        for thread in 0..2 {
            scope.spawn(move || {
                let buffers = [buffer(device(), &[thread as f32; 64]), buffer(device(), &[0.0; 64])];
                let mut program = device().program(&double(64), &buffers).unwrap();
                for _ in 0..50 {
                    let pending = program.run(&[Step::default()], all(&buffers[1])).unwrap();
                    assert_eq!(crate::floats(&pending.wait().unwrap()), [2.0 * thread as f32; 64]);
                }
            });
        }
    });
}
