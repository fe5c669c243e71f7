//! The asynchronous methods, on an executor that knows nothing of Kiln.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::{FutureExt, join_all};
use futures::stream::FuturesOrdered;
use kiln_gpu::{GpuDevice, Options, Selector, adapters, adapters_async};
use kiln_graph::{CallDescriptor, Device, DeviceError, Plan, Step};

use crate::kernels::{self, DOUBLE, call, descend, double, planned};
use crate::{all, buffer, device, floats};

#[test]
fn a_device_is_requested_without_blocking() {
    let device = pollster::block_on(GpuDevice::request(&Selector::Best, Options::default())).unwrap();

    assert_eq!(pollster::block_on(adapters_async()), adapters());
    assert_eq!(device.info().name, adapters()[0].name);
}

#[test]
fn a_plan_compiles_runs_and_reads_back_without_blocking() {
    let buffers = [buffer(device(), &[1.0, 2.0, 3.0]), buffer(device(), &[0.0; 3])];

    let read = pollster::block_on(async {
        let mut program = device().program_async(&double(3), &buffers).await?;
        program.run(&[Step::default()], None)?.await?;
        buffers[1].read_async(0, 12)?.await
    });

    assert_eq!(floats(&read.unwrap()), [2.0, 4.0, 6.0]);
}

#[test]
fn submissions_are_awaited_together_and_out_of_order() {
    let buffers = [buffer(device(), &[0.0; 200]), buffer(device(), &[0.0; 64])];
    let mut program = device().program(&descend(200, 64), &buffers).unwrap();
    let runs: Vec<_> = (0..32).map(|_| program.run(&[Step::default()], all(&buffers[1])).unwrap()).collect();

    let (first, last) =
        (pollster::block_on(join_all(runs)), program.run(&[Step::default()], all(&buffers[1])).unwrap());

    assert!(first.into_iter().all(|run| run.is_ok_and(|bytes| bytes.len() == 256)));
    let mut reversed: FuturesOrdered<_> = [last].into_iter().collect();
    reversed.push_front(program.run(&[Step::default()], all(&buffers[1])).unwrap());
    assert_eq!(pollster::block_on(reversed.map(|run| run.unwrap().len()).collect::<Vec<_>>()), [256, 256]);
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_poll_returns_at_once_and_its_waker_is_woken_when_the_submission_is_done() {
    let count = 1 << 20;
    let buffers = [buffer(device(), &vec![1.0; count]), buffer(device(), &vec![0.0; count])];
    let workgroups = [count as u32 / 64, 1, 1];
    let whole =
        CallDescriptor { workgroups, ..call(&DOUBLE, vec![kernels::floats(0, count), kernels::floats(1, count)]) };
    let plan = Plan { calls: planned(vec![whole]), ..double(count) };
    let mut program = device().program(&plan, &buffers).unwrap();
    let (early, late) = (Arc::new(Woken::default()), Arc::new(Woken::default()));

    // The last waker counts, as when a future moves to another task. Longer runs, until one is still running at both polls.
    let polled = (4..16).find_map(|power| {
        let mut run = program.run(&vec![Step::default(); 1 << power], all(&buffers[1])).unwrap();
        let polls = [&early, &late].map(|woken| run.poll_unpin(&mut Context::from_waker(&Waker::from(woken.clone()))));
        polls.iter().all(Poll::is_pending).then_some(run)
    });
    let run = polled.expect("a poll waits for the submission");
    let deadline = Instant::now() + Duration::from_secs(60);
    while late.0.load(Ordering::SeqCst) == 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }

    assert!(late.0.load(Ordering::SeqCst) > 0, "the waker was never woken");
    assert_eq!(floats(&pollster::block_on(run).unwrap())[count - 1], 2.0);
}

#[test]
fn futures_of_a_lost_device_end_with_its_loss() {
    let device = crate::open();
    let buffers = [buffer(&device, &[0.0; 64]), buffer(&device, &[0.0; 4])];
    let mut program = device.program(&descend(64, 4), &buffers).unwrap();
    let run = program.run(&[Step::default(); 4], all(&buffers[1])).unwrap();

    device.wgpu_device().destroy();

    // This one may have been done before.
    let run = pollster::block_on(run);
    assert!(matches!(run, Ok(_) | Err(DeviceError::Lost { .. })), "{run:?}");
    let read = pollster::block_on(async { buffers[0].read_async(0, 4)?.await });
    assert!(matches!(read, Err(DeviceError::Lost { .. })), "{read:?}");
    let program = pollster::block_on(device.program_async(&descend(64, 4), &buffers));
    assert!(matches!(program, Err(DeviceError::Lost { .. })));
}
