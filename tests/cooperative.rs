//! The tile of cooperative matrices where no device has them: its kernels with an emulation of these matrices, on the
//! device at hand.

use std::sync::Arc;

use kiln::Device;
use kiln::graph::{
    CallDescriptor, Device as DynDevice, DeviceBuffer, DeviceError, DeviceFuture, DeviceInfo, Kernel, KernelDescriptor,
    Plan, PlannedCall, Program,
};
use kiln_bench::{Finding, checks};

use crate::common::device;

/// Kernels with this text multiply cooperative matrices.
const ENABLE: &str = "enable wgpu_cooperative_matrix;\n";

#[test]
fn products_by_cooperative_matrices_are_those_of_rounded_factors() {
    let device = device();
    if !device.info().limits.gpu_kernels || device.info().limits.cooperative_matrices {
        return; // the processor runs other kernels; with the matrices themselves, the checks test them
    }
    let mut info = device.info().clone();
    info.limits.cooperative_matrices = true;
    info.limits.subgroup_sizes = Some([32, 32]);
    let emulated = Device::from_dyn(Arc::new(Emulated { info, device: device.as_dyn().clone() }));
    let of_precision = checks().into_iter().filter(|check| check.name.contains("mixed precision"));
    let findings: Vec<Finding> = of_precision.map(|check| check.run(&emulated)).collect();
    assert_eq!(findings.len(), 3);
    for finding in findings {
        assert!(finding.passed(), "{finding}");
    }
}

/// A device that runs the kernels of cooperative matrices with an emulation.
#[derive(Debug)]
struct Emulated {
    info: DeviceInfo,
    device: Arc<dyn DynDevice>,
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
        let calls = plan.calls.iter().map(with_emulation).collect();
        let plan = Plan { buffers: plan.buffers.clone(), calls, choices: plan.choices.clone() };
        Box::pin(async move { self.device.program_async(&plan, buffers).await })
    }
}

fn with_emulation(call: &PlannedCall) -> PlannedCall {
    if !call.kernel.source.contains(ENABLE) {
        return call.clone();
    }
    let source: &'static str = Box::leak(emulated(call.kernel.source).into_boxed_str());
    let kernel = Box::leak(Box::new(Kernel::new(KernelDescriptor { source, ..**call.kernel })));
    let descriptor: &CallDescriptor = call;
    // SAFETY: the kernel is not trusted.
    unsafe { PlannedCall::new(CallDescriptor { kernel, ..descriptor.clone() }) }
}

/// The matrices of factors are places in `block`, which does not change between a load and a product; an invocation has
/// 8 values of a sum.
const EMULATION: &str = "
struct Matrix { at: u32, stride: u32, by_columns: bool }

alias Sum = array<f32, 8>;

var<private> lane: u32; // within the subgroup

fn rounded(v: vec4f) -> vec4f {
    return vec4f(unpack2x16float(pack2x16float(v.xy)), unpack2x16float(pack2x16float(v.zw)));
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
    for (var i = 0u; i < 8u; i++) {
        let at = lane * 8u + i;
        for (var k = 0u; k < 16u; k++) {
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
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    assert!(!code.clone().any(|line| line.contains("coop") || line.contains("f16>")), "{text}");
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
