//! Results of programs, for any number of threads and any order of workgroups.

use kiln_cpu::{CpuDevice, Options};
use kiln_graph::{CallDescriptor, Device, DeviceKind, Order, Step};

use crate::kernels::{LANES, RECORD, REVERSE, SIZE, add_plan, affine, call, floats, plan};
use crate::{all, buffer, device, run, values};

const SIZES: [usize; 7] = [1, 3, 64, 65, 257, 1000, 12_345];

/// Devices that must all compute the same.
fn devices() -> Vec<CpuDevice> {
    let mut devices = Vec::new();
    for threads in [1, 2, 3, 8] {
        for order in [Order::Rising, Order::Shuffled(7)] {
            for (checked, max_lanes) in [(true, u32::MAX), (false, u32::MAX), (false, 8), (true, 4)] {
                let options = Options { threads: Some(threads), checked, order, max_lanes, ..Options::default() };
                devices.push(CpuDevice::new(options).unwrap());
            }
        }
    }
    devices
}

fn counting(count: usize) -> Vec<f32> {
    (0..count).map(|i| i as f32).collect()
}

#[test]
fn every_element_is_computed_and_nothing_behind_the_end_is_written() {
    for device in devices() {
        for count in SIZES {
            let buffers = [
                buffer(&device, &counting(count)),
                buffer(&device, &vec![0.5; count]),
                buffer(&device, &vec![-1.0; count + 20]),
            ];

            let sums = run(&device, &add_plan(count), &buffers, &[Step::default()]);

            assert!(sums[..count].iter().enumerate().all(|(i, &sum)| sum == i as f32 + 0.5), "{device:?}, {count}");
            assert!(sums[count..].iter().all(|&value| value == -1.0), "{device:?}, {count}");
        }
    }
}

#[test]
fn overrides_take_the_calls_value_or_their_default() {
    for device in devices() {
        for count in SIZES {
            let buffers = [buffer(&device, &counting(count)), buffer(&device, &vec![0.0; count])];

            let found = run(&device, &plan(&[count; 2], vec![affine(count)]), &buffers, &[Step::default()]);

            assert!(
                found.iter().enumerate().all(|(i, &y)| y == 3.0 * i as f32 + 0.75),
                "{device:?}, {count}: {found:?}"
            );
        }
    }
}

#[test]
fn a_call_sees_all_that_the_call_before_it_wrote_and_every_workgroup_runs_once() {
    const STEPS: usize = 5;
    let there_and_back = [[0, 1], [1, 0]].repeat(30);
    let reverse = |&[from, to]: &[usize; 2]| call(&REVERSE, vec![floats(from, 72), floats(to, 72)], [12, 3, 2]);
    let plan = plan(&[72; 2], there_and_back.iter().map(reverse).collect());
    let mut expected = counting(72);
    for _ in 0..STEPS * there_and_back.len() {
        expected = (0..72).map(|i| expected[71 - i] + i as f32).collect();
    }
    for device in devices() {
        let buffers = [buffer(&device, &counting(72)), buffer(&device, &[0.0; 72])];

        run(&device, &plan, &buffers, &[Step::default(); STEPS]);

        assert_eq!(values(&buffers[0]), expected, "{device:?}");
    }
}

#[test]
fn kernels_see_the_step_and_steps_run_in_order() {
    let device = device(2);
    let buffers = [buffer(&device, &[10.0]), buffer(&device, &[0.0; 3])];
    let plan = plan(&[1, 3], vec![call(&RECORD, vec![floats(0, 1), floats(1, 3)], [1, 1, 1])]);
    let step = |first, row, rate| Step { first, row, rates: [rate; 4], ..Step::default() };

    let rows = run(&device, &plan, &buffers, &[step(1, 0, 0.5), step(2, 2, 0.25), step(3, 2, 0.0)]);

    assert_eq!(rows, [10.5, 0.0, 50.25]);
}

#[test]
fn a_call_without_workgroups_does_nothing_and_the_next_one_runs() {
    let device = device(2);
    let buffers = [buffer(&device, &counting(3)), buffer(&device, &[0.0; 3])];
    let nothing = || CallDescriptor { workgroups: [0, 1, 1], ..affine(3) };

    let found = run(&device, &plan(&[3; 2], vec![nothing(), affine(3), nothing()]), &buffers, &[Step::default(); 2]);

    assert_eq!(found, [0.75, 3.75, 6.75]);
    assert_eq!(run(&device, &plan(&[3; 2], vec![nothing()]), &buffers, &[Step::default()]), found);
    assert_eq!(run(&device, &plan(&[3; 2], vec![]), &buffers, &[Step::default()]), found);
    assert_eq!(run(&device, &plan(&[3; 2], vec![affine(3)]), &buffers, &[]), found);
}

#[test]
fn ranges_within_buffers_are_read_and_written() {
    let device = device(2);
    let buffers = [buffer(&device, &counting(100)), buffer(&device, &[0.0; 100])];
    let mut call = affine(20);
    call.arguments[0].offset = 64;
    call.arguments[1].offset = 128;

    let found = run(&device, &plan(&[100; 2], vec![call]), &buffers, &[Step::default()]);

    let expected = |i| if (32..52).contains(&i) { 3.0 * (i - 16) as f32 + 0.75 } else { 0.0 };
    assert_eq!(found, (0..100).map(expected).collect::<Vec<f32>>());
}

#[test]
fn programs_on_several_threads_take_turns() {
    let device = device(3);
    std::thread::scope(|scope| {
        for offset in 0..4 {
            let device = &device;
            scope.spawn(move || {
                let buffers = [buffer(device, &vec![offset as f32; 5000]), buffer(device, &vec![0.0; 5000])];
                let mut program = device.program(&plan(&[5000; 2], vec![affine(5000)]), &buffers).unwrap();
                for _ in 0..50 {
                    buffers[1].write(0, &[0; 20_000]).unwrap();
                    let bytes = program.run(&[Step::default()], all(&buffers[1])).unwrap().wait().unwrap();
                    assert!(crate::floats(&bytes).iter().all(|&y| y == 3.0 * offset as f32 + 0.75));
                }
            });
        }
    });
}

#[test]
fn a_program_outlives_its_device_and_its_buffers() {
    let device = device(2);
    let buffers = [buffer(&device, &[1.0]), buffer(&device, &[0.0])];
    let mut program = device.program(&plan(&[1; 2], vec![affine(1)]), &buffers).unwrap();
    drop((device, buffers));

    let mut pending = program.run(&[Step::default()], None).unwrap();

    assert_eq!(pending.try_wait().unwrap(), Some(Vec::new()));
}

#[test]
fn the_info_names_the_instruction_set_that_kernels_use_and_the_threads() {
    for (max_lanes, threads) in [(u32::MAX, 2), (8, 3), (4, 1)] {
        let options = Options { threads: Some(threads), max_lanes, ..Options::default() };
        let device = CpuDevice::new(options).unwrap();
        let buffers = [buffer(&device, &[0.0]), buffer(&device, &[0.0])];
        let plan = plan(&[1; 2], vec![call(&LANES, vec![floats(0, 1), floats(1, 1)], [1, 1, 1])]);

        let lanes = run(&device, &plan, &buffers, &[Step::default()])[0] as u32;

        let info = device.info();
        let (instructions, counted) = info.driver.split_once(", ").unwrap();
        assert!(counted.starts_with(&threads.to_string()), "{}", info.driver);
        assert_eq!((info.backend.as_str(), info.kind), ("CPU", DeviceKind::Cpu));
        if cfg!(target_arch = "x86_64") {
            let expected = [("AVX-512", 16), ("AVX2", 8), ("SSE2", 4)];
            assert!(expected.contains(&(instructions, lanes)), "{instructions}: {lanes} lanes");
        }
    }
}

#[test]
fn buffers_hold_whole_words_that_are_zero_and_ranges_of_them_are_written_and_read() {
    let device = device(1);
    for (bytes, size) in [(0, 4), (1, 4), (4, 4), (5, 8), (4 * u64::from(SIZE), 256)] {
        let buffer = device.allocate("b", bytes).unwrap();
        assert_eq!(buffer.bytes(), size);
        assert_eq!(buffer.read(0, size).unwrap(), vec![0; size as usize]);
    }
    let buffer = buffer(&device, &counting(8));
    buffer.write(8, bytemuck::cast_slice(&[7.0_f32, 8.0])).unwrap();
    assert_eq!(buffer.read(4, 12).unwrap(), bytemuck::cast_slice::<f32, u8>(&[1.0, 7.0, 8.0]));
}
