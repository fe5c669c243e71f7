//! Untrusted kernels stay within their memory, also on a device that runs trusted ones without checks.

use std::sync::{Arc, OnceLock};

use kiln_gpu::{GpuDevice, Options, Selector};
use kiln_graph::{Argument, CallDescriptor, Device, DeviceBuffer, Plan, Step, TensorType};

use crate::kernels::{COPY, SHIFT, TRUSTED_SHIFT, call, named, planned, shift_call};

/// A device as release builds open it.
fn unchecked() -> &'static GpuDevice {
    static DEVICE: OnceLock<GpuDevice> = OnceLock::new();
    let options = Options { checked: false, ..Options::default() };
    DEVICE.get_or_init(|| GpuDevice::open(&Selector::Best, options).unwrap())
}

fn buffer(words: &[u32]) -> Arc<dyn DeviceBuffer> {
    let buffer = unchecked().allocate("words", 4 * words.len() as u64).unwrap();
    buffer.write(0, bytemuck::cast_slice(words)).unwrap();
    buffer
}

fn words(buffer: &Arc<dyn DeviceBuffer>) -> Vec<u32> {
    bytemuck::pod_collect_to_vec(&buffer.read(0, buffer.bytes()).unwrap())
}

fn run(buffers: &[Arc<dyn DeviceBuffer>], calls: Vec<CallDescriptor>) {
    let of = |(index, buffer): (usize, &Arc<dyn DeviceBuffer>)| named(&format!("b{index}"), buffer.bytes() / 4);
    let calls = planned(calls);
    let plan = Plan { buffers: buffers.iter().enumerate().map(of).collect(), calls, ..Plan::default() };
    unchecked().program(&plan, buffers).unwrap().run(&[Step::default()], None).unwrap().wait().unwrap();
}

/// `count` words of a buffer from the second place on that the device can bind.
fn in_the_middle(buffer: usize, count: usize) -> Argument {
    let offset = unchecked().info().limits.binding_align;
    Argument { buffer, offset, bytes: 4 * count as u64, ty: TensorType::f32([count]) }
}

/// The first word of [`in_the_middle`].
fn middle() -> usize {
    (unchecked().info().limits.binding_align / 4) as usize
}

const NEIGHBOUR: u32 = 0xdead_beef;

/// A buffer with this in the middle and [`NEIGHBOUR`] all around.
fn surrounded(inside: &[u32]) -> Vec<u32> {
    let mut all = vec![NEIGHBOUR; 2 * middle() + 256];
    all[middle()..middle() + inside.len()].copy_from_slice(inside);
    all
}

#[test]
fn an_untrusted_kernel_reads_nothing_outside_its_binding() {
    let (x, y) = (buffer(&surrounded(&[1, 2, 3, 4])), buffer(&vec![9; 2 * middle() + 256]));

    run(&[x, y.clone()], vec![call(&COPY, vec![in_the_middle(0, 4), in_the_middle(1, 256)])]);

    let found = &words(&y)[middle()..middle() + 256];
    assert_eq!(found[..4], [1, 2, 3, 4]);
    assert!(found.iter().all(|&word| word <= 4), "a value of x or 0, found {found:?}");
}

#[test]
fn an_untrusted_kernel_writes_nothing_outside_its_binding() {
    let inside: Vec<u32> = (1..=256).collect();
    let (x, y) = (buffer(&surrounded(&inside)), buffer(&surrounded(&[0; 4])));
    let others: Vec<_> = (0..4).map(|_| buffer(&[NEIGHBOUR; 256])).collect();

    run(&[x.clone(), y.clone()], vec![call(&COPY, vec![in_the_middle(0, 256), in_the_middle(1, 4)])]);

    let found = words(&y);
    assert_eq!(found[middle()..middle() + 3], [1, 2, 3], "the last word may be any of those written past the end");
    let around = found[..middle()].iter().chain(&found[middle() + 4..]);
    assert!(around.chain(&others.iter().flat_map(words).collect::<Vec<_>>()).all(|&word| word == NEIGHBOUR));
    assert_eq!(words(&x), surrounded(&inside));
}

#[test]
fn an_untrusted_kernel_sees_zeroed_workgroup_memory_and_nothing_behind_it() {
    let x: Vec<u32> = (1..=64).collect();
    let y: Vec<_> = (0..3).map(|_| buffer(&[9; 64])).collect();
    let into = |y: usize, mut call: CallDescriptor| {
        call.arguments[1].buffer = y;
        call
    };
    let calls = vec![
        // Leaves traces in workgroup memory.
        into(1, shift_call(&SHIFT, 0, 64)),
        into(2, shift_call(&SHIFT, 0, 5)),
        into(3, shift_call(&SHIFT, 1000, 64)),
    ];

    run(&[vec![buffer(&x)], y.clone()].concat(), calls);

    assert_eq!(words(&y[0]), x);
    assert_eq!(words(&y[1]), [&x[..5], &[0; 59]].concat());
    assert!(words(&y[2]).iter().all(|word| x.contains(word)), "{:?}", words(&y[2]));
}

#[test]
fn trust_is_not_inherited_by_an_untrusted_kernel_of_the_same_source() {
    let x: Vec<u32> = (1..=64).collect();
    let (trusted, untrusted) = (buffer(&[9; 64]), buffer(&[9; 64]));
    let x_buffer = buffer(&x);

    run(&[x_buffer.clone(), trusted.clone()], vec![shift_call(&TRUSTED_SHIFT, 0, 64)]);
    run(&[x_buffer, untrusted.clone()], vec![shift_call(&SHIFT, 0, 3)]);

    assert!(TRUSTED_SHIFT.is_trusted() && !SHIFT.is_trusted());
    assert_eq!(words(&trusted), x);
    assert_eq!(words(&untrusted), [&x[..3], &[0; 61]].concat());
}
