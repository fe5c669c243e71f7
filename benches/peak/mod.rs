//! What a device can do at most, measured through the machinery that runs every kernel.

use std::ops::Range;
use std::sync::Arc;

use kiln::Device;
use kiln::graph::{Access, Array, Binding, Call, Dispatch, Error, Kernel, Lowering, Op, Result, Step, TensorType};
use kiln::ops::Copy;
use kiln::simd::{F32, Simd, Storage, fma, for_each_workgroup, native};

use crate::ready::Ready;

/// As many bytes are copied, more than caches hold. It is what every device binds at once.
const COPIED: usize = 128 << 20;
/// The best of so many runs counts.
const RUNS: usize = 10;

/// A device's peak, as measured.
pub struct Peak {
    /// Multiply-adds count as two.
    pub flops_per_second: f64,
    /// What is read and what is written, together.
    pub bytes_per_second: f64,
}

impl Peak {
    pub fn measure(device: &Device) -> Peak {
        let fastest = |mut ready: Ready| {
            ready.run(1);
            (0..RUNS).map(|_| ready.run(1).as_secs_f64()).fold(f64::INFINITY, f64::min)
        };
        let multiply_adds = Ready::new(device, Arc::new(MultiplyAdds), &[Array::random([SIZE as usize], 1)], &[]);
        let flops = multiply_adds.flops as f64;
        let copy = Ready::new(device, Arc::new(Copy), &[Array::zeros([COPIED / 4])], &[]);
        let bytes = copy.bytes as f64;
        Peak { flops_per_second: flops / fastest(multiply_adds), bytes_per_second: bytes / fastest(copy) }
    }

    pub fn max(self, other: Peak) -> Peak {
        Peak {
            flops_per_second: self.flops_per_second.max(other.flops_per_second),
            bytes_per_second: self.bytes_per_second.max(other.bytes_per_second),
        }
    }
}

/// Invocations per workgroup, as in `multiply_adds.wgsl`.
const SIZE: u32 = 64;
const WORKGROUPS: u32 = 1024;
/// Chains of an invocation: enough at once to hide the latency, few enough for 16 registers.
const CHAINS: usize = 12;
/// Multiply-adds of a chain.
const LENGTH: usize = 16_384;

/// `x [64] -> y [workgroups * 64]`: see `multiply_adds.wgsl`.
#[derive(Debug)]
struct MultiplyAdds;

impl Op for MultiplyAdds {
    fn name(&self) -> &'static str {
        "multiply_adds"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [x] if *x == TensorType::f32([SIZE as usize]) => Ok(vec![TensorType::f32([(WORKGROUPS * SIZE) as usize])]),
            _ => Err(Error::inputs(self.name(), "f32 x [64]", inputs)),
        }
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let arguments = vec![lowering.inputs()[0], lowering.outputs()[0]];
        let workgroups = [WORKGROUPS, 1, 1];
        let call = Call { kernel: &KERNEL, arguments, overrides: vec![], params: vec![], workgroups, flops: 0 };
        lowering.push(call.flops(2 * (WORKGROUPS * SIZE) as usize * CHAINS * LENGTH));
        Ok(())
    }

    fn reference(&self, _: &[&Array], _: &Step) -> Vec<Array> {
        Vec::new()
    }
}

static KERNEL: Kernel = Kernel {
    name: "multiply_adds.main",
    source: include_str!("multiply_adds.wgsl"),
    entry_point: "main",
    workgroup_size: [SIZE, 1, 1],
    bindings: &[
        Binding { name: "x", binding: 0, access: Access::Read, align: 4 },
        Binding { name: "y", binding: 1, access: Access::ReadWrite, align: 4 },
    ],
    params: None,
    step: false,
    workgroup_memory: 0,
    native: native!(multiply_adds, trusted: true, lanes: 64, overrides: &[]),
};

/// The same as native code.
#[inline(always)]
unsafe fn multiply_adds<S: Simd, const CHECKED: bool>(simd: S, dispatch: &Dispatch<'_>, range: Range<u64>) {
    // SAFETY: by the contract of `NativeFn`; `x` has an element per invocation of a workgroup, `y` per invocation.
    let (x, y) = unsafe {
        (
            Storage::<CHECKED>::read(dispatch.memory[0], "x", dispatch.fault),
            Storage::<CHECKED>::read_write(dispatch.memory[1], "y", dispatch.fault),
        )
    };
    for_each_workgroup(
        dispatch,
        range,
        #[inline(always)]
        |workgroup| {
            for local in (0..SIZE).step_by(F32::<S>::LEN) {
                let start = x.lanes::<f32, S>(simd, local);
                y.set_lanes::<f32, S>(workgroup.id.x * SIZE + local, sum_of_chains(simd, start));
            }
        },
    );
}

/// The chains of the invocations that start at `start`.
#[inline(always)]
fn sum_of_chains<S: Simd>(simd: S, start: F32<S>) -> F32<S> {
    let (factor, term) = (F32::splat(simd, 0.5), F32::splat(simd, 1.0));
    let mut chains = [start; CHAINS];
    for (i, chain) in chains.iter_mut().enumerate() {
        *chain = *chain + F32::splat(simd, i as f32);
    }
    for _ in 0..LENGTH {
        for chain in &mut chains {
            *chain = fma(*chain, factor, term);
        }
    }
    let mut sum = F32::splat(simd, 0.0);
    for chain in chains {
        sum = sum + chain;
    }
    sum
}
