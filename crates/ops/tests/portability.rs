//! Every kernel, with the override values that its cases use, goes through naga's back ends for Vulkan, Metal and DX12
//! and stays within the limits of every WebGPU device.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use kiln_graph::{Graph, Kernel, Limits, Plan, PlannedCall, Tensor};
use kiln_ops::{Case, KERNELS, cases};
use naga::back::{PipelineConstants, hlsl, msl, pipeline_constants::process_overrides, spv};
use naga::valid::{Capabilities, ValidationFlags, Validator};

/// The calls that a case is lowered to, on a device with WebGPU's limits.
fn calls(case: &Case) -> Vec<PlannedCall> {
    let mut graph = Graph::new();
    let given = |graph: &mut Graph, prefix: &str, i: usize, ty| {
        let buffer = graph.buffer(&format!("{prefix} {i}"));
        graph.persistent(ty, buffer, 0)
    };
    let inputs: Vec<Tensor> =
        case.inputs.iter().enumerate().map(|(i, array)| given(&mut graph, "input", i, array.ty.clone())).collect();
    let old = case.rewritten.iter().enumerate();
    let old: Vec<Tensor> = old.map(|(i, array)| given(&mut graph, "rewritten", i, array.ty.clone())).collect();
    if !old.is_empty() {
        graph.update(case.op.clone(), &inputs, &old).unwrap();
        return Plan::new(&graph, &Limits::WEBGPU).unwrap().calls;
    }
    let mut kept = graph.add_shared(case.op.clone(), &inputs).unwrap();
    let differentiable: Vec<Tensor> = case.differentiable.iter().map(|&input| inputs[input]).collect();
    if !differentiable.is_empty() {
        kept.extend(kiln_ops::gradients(&mut graph, kept[0], &differentiable).unwrap().into_iter().flatten());
    }
    for (i, tensor) in kept.into_iter().enumerate() {
        let kept = graph.add(kiln_ops::ScaleAdd { a: 0.5, b: 0.5 }, &[tensor, tensor]);
        // Integers cannot be scaled; they are kept as they are.
        let buffer = graph.buffer(&format!("output {i}"));
        graph.place(kept.unwrap_or(tensor), buffer, 0);
    }
    Plan::new(&graph, &Limits::WEBGPU).unwrap().calls
}

/// A kernel and values of its overrides.
type Specialised = (&'static Kernel, Vec<(&'static str, f64)>);

/// Each kernel with each set of override values that the cases use, by a name that tells both.
fn kernels_in_use() -> BTreeMap<String, Specialised> {
    let all = cases().iter().flat_map(calls).collect::<Vec<_>>();
    all.into_iter()
        .map(|call| (format!("{} {:?}", call.kernel.name, call.overrides), (call.kernel, call.overrides)))
        .collect()
}

#[test]
fn every_kernel_translates_to_spirv_msl_and_hlsl() {
    for (name, (kernel, overrides)) in kernels_in_use() {
        let module = naga::front::wgsl::parse_str(kernel.source).unwrap();
        let info = Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(&module).unwrap();
        let constants: PipelineConstants = overrides.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
        let entry = (naga::ShaderStage::Compute, kernel.entry_point);
        let (module, info) = process_overrides(&module, &info, Some(entry), &constants).unwrap();

        let words = spv::write_vec(&module, &info, &spv::Options::default(), None);
        assert!(words.unwrap().len() > 100, "{name}: SPIR-V");
        // wgpu compiles for Metal 2 at least; naga's default is 1.0.
        let options = msl::Options { lang_version: (2, 0), ..msl::Options::default() };
        let (text, _) = msl::write_string(&module, &info, &options, &msl::PipelineOptions::default())
            .unwrap_or_else(|error| panic!("{name}: MSL: {error}"));
        assert!(text.contains("kernel void"), "{name}: MSL");
        let (mut text, options, pipeline) = (String::new(), hlsl::Options::default(), hlsl::PipelineOptions::default());
        hlsl::Writer::new(&mut text, &options, &pipeline)
            .write(&module, &info, None)
            .unwrap_or_else(|error| panic!("{name}: HLSL: {error}"));
        assert!(text.contains("numthreads"), "{name}: HLSL");
    }
}

#[test]
fn every_kernel_is_used_by_a_case() {
    let used: Vec<&str> = kernels_in_use().values().map(|(kernel, _)| kernel.name).collect();
    let unused: Vec<&str> = KERNELS.iter().map(|kernel| kernel.name).filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "no case reaches {unused:?}");
}

#[test]
fn every_kernel_stays_within_webgpus_default_limits() {
    for kernel in KERNELS {
        let invocations: u32 = kernel.workgroup_size.iter().product();
        assert!(kernel.bindings.len() <= 8, "{}: {} storage buffers", kernel.name, kernel.bindings.len());
        assert!(invocations <= 256, "{}: {invocations} invocations a workgroup", kernel.name);
        assert!(kernel.workgroup_memory <= 16 << 10, "{}: {} bytes", kernel.name, kernel.workgroup_memory);
    }
}
