//! Kernels as kiln-build translates them, and plans of them, written by hand.

use std::ops::Range;

use kiln_graph::{
    Access, Argument, Binding, CallDescriptor, Dispatch, Kernel, KernelDescriptor, Native, NativeFn, Override, Plan,
    PlanBuffer, PlannedCall, TensorType, Uniform as Params,
};
use kiln_simd::{Bool, F32, Simd, Storage, U32, Uniform, Vec3, for_each_workgroup, native};

/// Invocations per workgroup.
pub const SIZE: u32 = 64;

const fn kernel(name: &'static str, bindings: &'static [Binding], native: Native) -> Kernel {
    with_native(descriptor(name, bindings), native)
}

const fn with_native(descriptor: KernelDescriptor, native: Native) -> Kernel {
    // SAFETY: the native code of this file is as `NativeFn` demands and writes only what is bound to be written.
    unsafe { Kernel::new(descriptor).with_native(native) }
}

const fn descriptor(name: &'static str, bindings: &'static [Binding]) -> KernelDescriptor {
    KernelDescriptor {
        name,
        source: "",
        entry_point: "main",
        workgroup_size: [SIZE, 1, 1],
        bindings,
        params: None,
        step: false,
        workgroup_memory: 0,
    }
}

const fn binding(name: &'static str, binding: u32, access: Access) -> Binding {
    Binding { name, binding, access, align: 4 }
}

const X: Binding = binding("x", 0, Access::Read);
const Y: Binding = binding("y", 1, Access::ReadWrite);

/// z = x + y, for `params.count` elements; one vector of invocations after the other
// SAFETY: the tests call it with as many elements as its tensors have.
pub static ADD: Kernel = unsafe {
    with_native(
        KernelDescriptor {
            params: Some(Params { binding: 3, bytes: 4 }),
            ..descriptor("add.main", &[X, binding("y", 1, Access::Read), binding("z", 2, Access::ReadWrite)])
        },
        native!(add, trusted: true, lanes: SIZE, overrides: &[]),
    )
    .trusted()
};

#[inline(always)]
unsafe fn add<S: Simd, const CHECKED: bool>(simd: S, dispatch: &Dispatch<'_>, range: Range<u64>) {
    // SAFETY: by the contract of `NativeFn`; `mask` keeps accesses within `count` elements.
    let (x, y, z) = unsafe {
        (
            Storage::<CHECKED>::read(dispatch.memory[0], "x", dispatch.fault),
            Storage::<CHECKED>::read(dispatch.memory[1], "y", dispatch.fault),
            Storage::<CHECKED>::read_write(dispatch.memory[2], "z", dispatch.fault),
        )
    };
    let count: u32 = Uniform(dispatch.params).load(0);
    for_each_workgroup(dispatch, range, |workgroup| {
        for first in (0..SIZE).step_by(U32::<S>::LEN) {
            let index = workgroup.id.x * SIZE + first;
            let mask = Bool::first(simd, count.saturating_sub(index));
            if mask.any() {
                let sum = x.lanes_where::<f32, S>(simd, mask, index) + y.lanes_where::<f32, S>(simd, mask, index);
                z.set_lanes_where::<f32, S>(mask, index, sum);
            }
        }
    });
}

/// y[i] = factor x[i] + offset + shift, where `factor` and `shift` are overrides and `offset` is a parameter
// SAFETY: the tests call it with tensors of one size.
pub static AFFINE: Kernel = unsafe {
    with_native(
        KernelDescriptor { params: Some(Params { binding: 2, bytes: 4 }), ..descriptor("affine.main", &[X, Y]) },
        native!(affine_kernel, trusted: true, lanes: SIZE, overrides: AFFINE_OVERRIDES),
    )
    .trusted()
};

const AFFINE_OVERRIDES: &[Override] =
    &[Override { name: "shift", default: Some(0.5) }, Override { name: "factor", default: None }];

#[inline(always)]
unsafe fn affine_kernel<S: Simd, const CHECKED: bool>(simd: S, dispatch: &Dispatch<'_>, range: Range<u64>) {
    let &[shift, factor] = dispatch.overrides else { return };
    let offset: f32 = Uniform(dispatch.params).load(0);
    // SAFETY: by the contract of `NativeFn`; the loop keeps accesses within the words of `y`, as many as those of `x`.
    let (x, y) = unsafe {
        (
            Storage::<CHECKED>::read(dispatch.memory[0], "x", dispatch.fault),
            Storage::<CHECKED>::read_write(dispatch.memory[1], "y", dispatch.fault),
        )
    };
    let splat = |value: f32| F32::splat(simd, value);
    for_each_workgroup(dispatch, range, |workgroup| {
        for index in (workgroup.id.x * SIZE..y.words().min((workgroup.id.x + 1) * SIZE)).step_by(U32::<S>::LEN) {
            let mask = Bool::first(simd, y.words() - index);
            let scaled = splat(factor as f32) * x.lanes_where::<f32, S>(simd, mask, index);
            y.set_lanes_where::<f32, S>(mask, index, scaled + splat(offset) + splat(shift as f32));
        }
    });
}

/// Kernels of one invocation per workgroup, as plain functions over checked memory.
macro_rules! simple {
    ($name:ident($x:ident, $y:ident, $dispatch:ident, $index:ident) $body:block) => {{
        unsafe fn $name($dispatch: &Dispatch<'_>, range: Range<u64>) {
            // SAFETY: by the contract of `NativeFn`.
            let ($x, $y) = unsafe {
                (
                    Storage::<true>::read($dispatch.memory[0], "x", $dispatch.fault),
                    Storage::<true>::read_write($dispatch.memory[1], "y", $dispatch.fault),
                )
            };
            let [wide, high, _] = $dispatch.workgroups;
            for_each_workgroup($dispatch, range, |workgroup| {
                let Vec3 { x, y, z } = workgroup.id;
                let $index = (z * high + y) * wide + x;
                $body
            });
        }
        plain($name)
    }};
}

const fn plain(function: NativeFn) -> Native {
    Native { overrides: &[], unchecked: function, checked: Some(function) }
}

/// y[i] = x[n - 1 - i] + i of workgroup i of n
pub static REVERSE: Kernel = kernel(
    "reverse.main",
    &[X, Y],
    simple!(reverse(x, y, dispatch, index) {
        let count: u32 = dispatch.workgroups.iter().product();
        y.store(index, x.load::<f32>(count - 1 - index) + index as f32);
    }),
);

/// y[row] = x[0] first + rate + y[row]
pub static RECORD: Kernel = with_native(
    KernelDescriptor { step: true, ..descriptor("record.main", &[X, Y]) },
    simple!(record(x, y, dispatch, _index) {
        let step = dispatch.step;
        y.store(step.row, x.load::<f32>(0) * step.first as f32 + step.rates[0] + y.load::<f32>(step.row));
    }),
);

/// Writes both of its tensors.
pub static TWO_OUTPUTS: Kernel = kernel(
    "two_outputs.main",
    &[binding("x", 0, Access::ReadWrite), Y],
    simple!(two_outputs(x, y, _dispatch, index) {
        x.store(index, 1.0_f32);
        y.store(index, 2.0_f32);
    }),
);

/// y[i + 1000] = 1 in workgroup 5
pub static OUT_OF_BOUNDS: Kernel = kernel(
    "out_of_bounds.main",
    &[X, Y],
    simple!(out_of_bounds(_x, y, _dispatch, index) {
        y.store(if index == 5 { 1000 + index } else { index }, 1.0_f32);
    }),
);

/// Panics in workgroup 5, which translated code never does.
pub static PANICS: Kernel = kernel(
    "panics.main",
    &[X, Y],
    simple!(panics(_x, y, _dispatch, index) {
        assert!(index != 5, "workgroup 5");
        y.store(index, 1.0_f32);
    }),
);

/// y[0] = the number of lanes
pub static LANES: Kernel = kernel("lanes.main", &[X, Y], native!(lanes, trusted: false, lanes: SIZE, overrides: &[]));

#[inline(always)]
unsafe fn lanes<S: Simd, const CHECKED: bool>(_: S, dispatch: &Dispatch<'_>, _: Range<u64>) {
    // SAFETY: by the contract of `NativeFn`; word 0 is there.
    let y = unsafe { Storage::<CHECKED>::read_write(dispatch.memory[1], "y", dispatch.fault) };
    y.store(0, U32::<S>::LEN as f32);
}

/// `count` floats at the start of buffer `buffer`.
pub fn floats(buffer: usize, count: usize) -> Argument {
    Argument { buffer, offset: 0, bytes: 4 * count as u64, ty: TensorType::f32([count]) }
}

/// A call of a kernel without overrides and parameters.
pub fn call(kernel: &'static Kernel, arguments: Vec<Argument>, workgroups: [u32; 3]) -> CallDescriptor {
    let (overrides, params) = (Vec::new(), Vec::new());
    CallDescriptor { scope: "test".to_owned(), kernel, arguments, overrides, params, workgroups, flops: 0 }
}

/// A plan over buffers of so many floats.
pub fn plan(buffers: &[usize], calls: Vec<CallDescriptor>) -> Plan {
    let buffer =
        |(index, &count): (usize, &usize)| PlanBuffer { name: Some(format!("b{index}")), bytes: 4 * count as u64 };
    // SAFETY: calls of trusted kernels have the sizes of their arguments, or the device checks them.
    let calls = calls.into_iter().map(|call| unsafe { PlannedCall::new(call) }).collect();
    Plan { buffers: buffers.iter().enumerate().map(buffer).collect(), calls, ..Plan::default() }
}

/// z = x + y, `count` floats each.
pub fn add_plan(count: usize) -> Plan {
    let arguments = (0..3).map(|buffer| floats(buffer, count)).collect();
    let workgroups = [(count as u32).div_ceil(SIZE), 1, 1];
    let params = (count as u32).to_le_bytes().to_vec();
    plan(&[count; 3], vec![CallDescriptor { params, ..call(&ADD, arguments, workgroups) }])
}

/// y = 3 x + 0.25 + 0.5, `count` floats each.
pub fn affine(count: usize) -> CallDescriptor {
    let workgroups = [(count as u32).div_ceil(SIZE), 1, 1];
    let (overrides, params) = (vec![("factor", 3.0)], 0.25_f32.to_le_bytes().to_vec());
    CallDescriptor { overrides, params, ..call(&AFFINE, vec![floats(0, count), floats(1, count)], workgroups) }
}
