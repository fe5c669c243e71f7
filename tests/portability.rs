//! Every kernel, with the overrides of the ops' cases and of LeNet, is compiled by naga's backends for Vulkan, Metal
//! and DX12, within the limits of every WebGPU device.

use std::collections::BTreeMap;

use kiln::data::{Dataset, Labels};
use kiln::graph::{Choices, Graph, Kernel, Limits, Plan, PlannedCall, Tensor};
use kiln::ops::{Case, KERNELS, ScaleAdd, cases, gradients};
use kiln::{Compile, Fit, Precision, models};
use naga::Module;
use naga::back::{PipelineConstants, hlsl, msl, pipeline_constants::process_overrides, spv};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

use kiln_bench::Recorder;

/// GPUs with WebGPU's limits, with and without subgroups.
const GPUS: [Limits; 3] = [
    Limits::WEBGPU,
    Limits { subgroup_sizes: Some([8, 8]), ..Limits::WEBGPU },
    Limits { subgroup_sizes: Some([32, 32]), ..Limits::WEBGPU },
];
/// A GPU with cooperative matrices, on which cases are planned in mixed precision.
const COOPERATIVE: Limits = Limits { cooperative_matrices: true, subgroup_sizes: Some([32, 32]), ..Limits::WEBGPU };
const PROCESSOR: Limits = Limits { gpu_kernels: false, ..Limits::WEBGPU };

/// The calls of a case with each alternative kernel, on these devices.
fn calls(case: &Case, devices: &[Limits]) -> Vec<PlannedCall> {
    let mut calls = Vec::new();
    for limits in devices {
        let by_default = plan_within(case, limits, &Choices::default());
        for choice in &by_default.choices {
            for place in 1..choice.kernels.len() {
                let mut choices = Choices::default();
                choices.set(choice, place);
                calls.extend(plan_within(case, limits, &choices).calls);
            }
        }
        calls.extend(by_default.calls);
    }
    calls
}

fn plan_within(case: &Case, limits: &Limits, choices: &Choices) -> Plan {
    let mut graph = Graph::new();
    if limits.cooperative_matrices {
        graph.set_precision(Precision::Mixed);
    }
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
        return Plan::with(&graph, limits, choices).unwrap();
    }
    let mut kept = graph.add_shared(case.op.clone(), &inputs).unwrap();
    let differentiable: Vec<Tensor> = case.differentiable.iter().map(|&input| inputs[input]).collect();
    if !differentiable.is_empty() {
        kept.extend(gradients(&mut graph, kept[0], &differentiable).unwrap().into_iter().flatten());
    }
    for (i, tensor) in kept.into_iter().enumerate() {
        let kept = graph.add(ScaleAdd { a: 0.5, b: 0.5 }, &[tensor, tensor]);
        // Integers are not scaled.
        let buffer = graph.buffer(&format!("output {i}"));
        graph.place(kept.unwrap_or(tensor), buffer, 0).unwrap();
    }
    Plan::with(&graph, limits, choices).unwrap()
}

/// The calls of all plans of training, validating, evaluating and predicting with LeNet.
fn lenet_calls() -> Vec<PlannedCall> {
    let (recorder, device) = Recorder::device(Limits::WEBGPU);
    let digits = |n: usize| Dataset::from_u8([28, 28, 1], vec![0; n * 784], Labels::index(vec![0; n], 10)).unwrap();
    let mut model = models::lenet([28, 28, 1], 10);
    model.compile(&device, Compile::default()).unwrap();
    let fit = Fit { batch_size: 128, validation_data: Some(&digits(129)), ..Fit::default() };
    model.fit(&digits(257), fit).unwrap();
    model.predict(&digits(129)).unwrap();
    let plans = recorder.plans();
    assert_eq!(plans.len(), 6, "three kinds of batches, each with a last one of another size");
    plans.into_iter().flat_map(|plan| plan.calls).collect()
}

/// A kernel with override values.
type Specialised = (&'static Kernel, Vec<(&'static str, f64)>);

/// Each kernel with each set of override values in these calls, by a name of both.
fn kernels_in_use(calls: impl IntoIterator<Item = PlannedCall>) -> BTreeMap<String, Specialised> {
    calls
        .into_iter()
        .map(|call| (format!("{} {:?}", call.kernel.name, call.overrides), (call.kernel, call.overrides.clone())))
        .collect()
}

fn kernels_in_cases(devices: &[Limits]) -> BTreeMap<String, Specialised> {
    kernels_in_use(cases().iter().flat_map(|case| calls(case, devices)))
}

/// A kernel that needs these capabilities, with its override values, compiled for Vulkan.
fn to_spirv(name: &str, (kernel, overrides): &Specialised, capabilities: Capabilities) -> (Module, ModuleInfo) {
    let module = naga::front::wgsl::parse_str(kernel.source).unwrap();
    let info = Validator::new(ValidationFlags::all(), capabilities).validate(&module).unwrap();
    let constants: PipelineConstants = overrides.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
    let entry = (naga::ShaderStage::Compute, kernel.entry_point);
    let (module, info) = process_overrides(&module, &info, Some(entry), &constants).unwrap();
    let words = spv::write_vec(&module, &info, &spv::Options::default(), None);
    assert!(words.unwrap().len() > 100, "{name}: SPIR-V");
    (module.into_owned(), info.into_owned())
}

/// Compiles a kernel with all backends.
fn translate(name: &str, specialised: &Specialised) {
    let (module, info) = to_spirv(name, specialised, Capabilities::SUBGROUP);
    // wgpu compiles for at least Metal 2, or 2.1 with subgroups; naga's default is 1.0.
    let options = msl::Options { lang_version: (2, 1), ..msl::Options::default() };
    let (text, _) = msl::write_string(&module, &info, &options, &msl::PipelineOptions::default())
        .unwrap_or_else(|error| panic!("{name}: MSL: {error}"));
    assert!(text.contains("kernel void"), "{name}: MSL");
    let (mut text, options, pipeline) = (String::new(), hlsl::Options::default(), hlsl::PipelineOptions::default());
    hlsl::Writer::new(&mut text, &options, &pipeline)
        .write(&module, &info, None)
        .unwrap_or_else(|error| panic!("{name}: HLSL: {error}"));
    assert!(text.contains("numthreads"), "{name}: HLSL");
}

#[test]
fn every_kernel_translates_to_spirv_msl_and_hlsl() {
    for (name, kernel) in kernels_in_cases(&[&GPUS[..], &[PROCESSOR]].concat()) {
        translate(&name, &kernel);
    }
}

/// Only Vulkan has cooperative matrices of the size and the types that they need.
#[test]
fn every_kernel_of_cooperative_matrices_translates_to_spirv() {
    let capabilities = Capabilities::SUBGROUP | Capabilities::SHADER_FLOAT16 | Capabilities::COOPERATIVE_MATRIX;
    let mut kernels = kernels_in_cases(&[COOPERATIVE]);
    kernels.retain(|_, (kernel, _)| kernel.source.contains("enable wgpu_cooperative_matrix;"));
    assert!(kernels.len() > 20, "{}", kernels.len());
    for (name, kernel) in &kernels {
        to_spirv(name, kernel, capabilities);
    }
}

#[test]
fn every_kernel_of_lenet_translates_to_spirv_msl_and_hlsl() {
    let kernels = kernels_in_use(lenet_calls());
    let has = |kernel: &str, overrides: [(&str, f64); 2]| {
        let named = |(found, values): &Specialised| {
            found.name == kernel && overrides.iter().all(|&(name, value)| values.contains(&(name, value)))
        };
        assert!(kernels.values().any(named), "no {kernel} with {overrides:?}");
    };
    has("conv2d.shared_tiles", [("depth", 20.0), ("columns", 50.0)]);
    has("conv2d_weight_gradient_quads.shared_tiles", [("inner", 25.0), ("filters", 20.0)]);
    for (name, kernel) in &kernels {
        translate(name, kernel);
    }
}

#[test]
fn every_kernel_is_used_by_a_case() {
    let used: Vec<&str> = kernels_in_cases(&[&GPUS[..], &[COOPERATIVE, PROCESSOR]].concat())
        .values()
        .map(|(kernel, _)| kernel.name)
        .collect();
    let unused: Vec<&str> = KERNELS.iter().map(|kernel| kernel.name).filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "no case reaches {unused:?}");
}

#[test]
fn every_kernel_of_gpus_stays_within_webgpus_default_limits() {
    for (kernel, _) in kernels_in_cases(&GPUS).values() {
        let invocations: u32 = kernel.workgroup_size.iter().product();
        assert!(kernel.bindings.len() <= 8, "{}: {} storage buffers", kernel.name, kernel.bindings.len());
        assert!(invocations <= 256, "{}: {invocations} invocations a workgroup", kernel.name);
        assert!(kernel.workgroup_memory <= 16 << 10, "{}: {} bytes", kernel.name, kernel.workgroup_memory);
    }
}
