//! The tile of cooperative matrices where no device has them: its kernels with an emulation of these matrices, on the
//! device at hand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use kiln::graph::{
    Array, CallDescriptor, Device as DynDevice, DeviceBuffer, DeviceError, DeviceFuture, DeviceInfo, Kernel,
    KernelDescriptor, Op, Plan, PlannedCall, Program, Step,
};
use kiln::ops::{Conv2d, Conv2dInputGradient, Conv2dWeightGradient, Matmul, Padding};
use kiln::{Device, Precision};

use crate::common::device;
use crate::mixed_precision::{result, rounded};

/// Kernels with this text multiply cooperative matrices.
const ENABLE: &str = "enable wgpu_cooperative_matrix;\n";

/// Products of several workgroups and many steps, with sizes that are not multiples of a tile's: wide and narrow, one in
/// parallel blocks of the inner axis, and a first layer.
fn products() -> Vec<(Arc<dyn Op>, Vec<Array>)> {
    let random = |shape: &[usize], seed| Array::random(shape.to_vec(), seed);
    let (strides, padding) = ([1, 1], Padding::Same.into());
    let matmul = |transpose_a, transpose_b| Matmul { transpose_a, transpose_b, bias: false };
    let input_gradient = |strides| Conv2dInputGradient { strides, padding, image: [13, 11] };
    vec![
        (Arc::new(matmul(false, false)), vec![random(&[203, 111], 1), random(&[111, 150], 2)]),
        (Arc::new(matmul(false, false)), vec![random(&[20, 611], 1), random(&[611, 70], 2)]),
        (Arc::new(matmul(true, false)), vec![random(&[130, 203], 1), random(&[130, 29], 2)]),
        (
            Arc::new(Conv2d { strides, padding, bias: true }),
            vec![random(&[2, 13, 11, 37], 1), random(&[3, 3, 37, 72], 2), random(&[72], 3)],
        ),
        (
            Arc::new(Conv2d { strides: [2, 2], padding, bias: true }),
            vec![random(&[2, 23, 21, 3], 1), random(&[5, 5, 3, 20], 2), random(&[20], 3)],
        ),
        (Arc::new(input_gradient([1, 1])), vec![random(&[2, 13, 11, 37], 1), random(&[3, 3, 70, 37], 2)]),
        (Arc::new(input_gradient([2, 2])), vec![random(&[2, 7, 6, 37], 1), random(&[3, 3, 20, 37], 2)]),
        (
            Arc::new(Conv2dWeightGradient { strides, padding, size: [3, 3] }),
            vec![random(&[3, 13, 11, 36], 1), random(&[3, 13, 11, 70], 2)],
        ),
    ]
}

#[test]
fn products_by_cooperative_matrices_are_those_of_rounded_factors() {
    let device = device();
    if !device.info().limits.gpu_kernels || device.info().limits.cooperative_matrices {
        return; // the processor runs other kernels; with the matrices themselves, `check` tests them
    }
    let mut info = device.info().clone();
    info.limits.cooperative_matrices = true;
    info.limits.subgroup_sizes = Some([32, 32]);
    let runs = Arc::default();
    let emulated = Emulated { info, device: device.as_dyn().clone(), runs: Arc::clone(&runs) };
    let emulated = Device::from_dyn(Arc::new(emulated));
    for (op, inputs) in products() {
        let of_rounded: Vec<Array> =
            inputs.iter().enumerate().map(|(at, x)| if at < 2 { rounded(x) } else { x.clone() }).collect();
        let expected = &op.reference(&of_rounded.iter().collect::<Vec<_>>(), &Step::default())[0];
        let error = result(&emulated, &op, &inputs, Precision::Mixed).relative_error(expected);
        assert!(error < 1e-5, "{} {}: {error:e}", op.name(), inputs[0].ty);
    }
    let kernels: Vec<&str> = runs.lock().unwrap().keys().copied().collect();
    assert_eq!(
        kernels,
        [
            "conv2d_cooperative.shared_tiles",
            "conv2d_input_gradient_cooperative.shared_tiles",
            "conv2d_strided_input_gradient_cooperative.shared_tiles",
            "conv2d_weight_gradient_cooperative.shared_tiles",
            "matmul_cooperative.nn",
            "matmul_cooperative.tn",
            "matmul_split_cooperative.tiles",
        ]
    );
}

/// Kernels with an emulation, by the names of those that they replace.
type Kernels = Mutex<BTreeMap<&'static str, &'static Kernel>>;

/// A device that runs the kernels of cooperative matrices with an emulation.
#[derive(Debug)]
struct Emulated {
    info: DeviceInfo,
    device: Arc<dyn DynDevice>,
    runs: Arc<Kernels>,
}

impl Emulated {
    /// One kernel for all calls, so that a driver compiles it once for the same overrides.
    fn emulation(&self, call: &PlannedCall) -> PlannedCall {
        if !call.kernel.source.contains(ENABLE) {
            return call.clone();
        }
        let kernel = *self.runs.lock().unwrap().entry(call.kernel.name).or_insert_with(|| {
            let source: &'static str = Box::leak(emulated(call.kernel.source).into_boxed_str());
            Box::leak(Box::new(Kernel::new(KernelDescriptor { source, ..**call.kernel })))
        });
        let descriptor: &CallDescriptor = call;
        // SAFETY: the kernel is not trusted.
        unsafe { PlannedCall::new(CallDescriptor { kernel, ..descriptor.clone() }) }
    }
}

impl DynDevice for Emulated {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn allocate(&self, label: &str, bytes: u64) -> Result<Arc<dyn DeviceBuffer>, DeviceError> {
        self.device.allocate(label, bytes)
    }

    fn program_async<'a>(
        &'a self,
        plan: &'a Plan,
        buffers: &'a [Arc<dyn DeviceBuffer>],
    ) -> DeviceFuture<'a, Box<dyn Program>> {
        let calls = plan.calls.iter().map(|call| self.emulation(call)).collect();
        let plan = Plan { buffers: plan.buffers.clone(), calls, choices: plan.choices.clone() };
        Box::pin(async move { self.device.program_async(&plan, buffers).await })
    }
}

/// The matrices of factors are places in `block`, which does not change between a load and a product; an invocation has
/// 8 values of a sum.
const EMULATION: &str = "
struct Matrix { at: u32, stride: u32, by_columns: bool }

alias Sum = array<f32, 8>;

var<private> lane: u32; // within the subgroup

// To 11 significant bits, ties to even (Dekker, 1971): `pack2x16float` may truncate.
fn rounded(v: vec4f) -> vec4f {
    let c = v * 8193.0;
    return c - (c - v);
}

fn value(m: Matrix, row: u32, column: u32) -> f32 {
    if m.by_columns {
        return block[m.at + column * m.stride + row / 4u][row % 4u];
    }
    return block[m.at + row * m.stride + column / 4u][column % 4u];
}

fn added(a: Sum, b: Sum) -> Sum {
    var sum = a;
    for (var i = 0u; i < 8u; i++) {
        sum[i] += b[i];
    }
    return sum;
}

fn multiplied(a: Matrix, b: Matrix, c: Sum) -> Sum {
    var sum = c;
    for (var i = 0u; i < min(8u, 8u + lane); i++) { // drivers must not unroll it
        let at = lane * 8u + i;
        for (var k = 0u; k < min(16u, 16u + lane); k++) {
            sum[i] += value(a, at / 16u, k) * value(b, k, at % 16u);
        }
    }
    return sum;
}

fn stored(sum: Sum, at: u32, stride: u32) {
    for (var i = 0u; i < 8u; i++) {
        let place = lane * 8u + i;
        results[at + place / 16u * stride + place % 16u] = sum[i];
    }
}
";

/// The kernel's text with the emulation instead of the extension.
fn emulated(source: &str) -> String {
    let mut text = source.replace("enable f16;\n", "").replace(ENABLE, "");
    for role in ["A", "B"] {
        let ty = format!("coop_mat16x16<f16, {role}>");
        for (load, by_columns) in [("coopLoadT", "false"), ("coopLoad", "true")] {
            text = loads(&text, &format!("{load}<{ty}>(&block["), by_columns);
        }
        text = text.replace(&ty, "Matrix");
    }
    for sum in ["upper_left", "upper_right", "lower_left", "lower_right"] {
        text = text.replace(&format!("a.{sum} + b.{sum}"), &format!("added(a.{sum}, b.{sum})"));
    }
    for (from, to) in [
        ("coop_mat16x16<f32, C>", "Sum"),
        ("coopMultiplyAdd(", "multiplied("),
        ("coopStoreT(", "stored("),
        ("&results[at];", "at;"),
        ("&results[at + MATRIX];", "at + MATRIX;"),
        ("vec4<f16>(", "rounded("),
        ("vec4<f16>", "vec4f"),
        ("let corner = shared_corner(", "lane = local % SUBGROUP;\n    let corner = shared_corner("),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let left = ["coop_mat", "coopLoad", "coopMultiplyAdd", "coopStore", "f16>"].map(|word| text.contains(word));
    assert_eq!(left, [false; 5], "{text}");
    text + EMULATION
}

/// Each `{prefix}place], stride)` as a `Matrix`.
fn loads(text: &str, prefix: &str, by_columns: &str) -> String {
    let mut parts = text.split(prefix);
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (place, rest) = part.split_once("], ").unwrap();
        let (stride, rest) = rest.split_once(')').unwrap();
        replaced += &format!("Matrix({place}, {stride}, {by_columns}){rest}");
    }
    replaced
}
