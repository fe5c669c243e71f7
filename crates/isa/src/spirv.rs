//! A kernel as the SPIR-V that wgpu creates from it on a Vulkan 1.3 device in a release build.

use std::collections::BTreeMap;
use std::path::Path;

use naga::ShaderStage;
use naga::back::{PipelineConstants, pipeline_constants::process_overrides, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::kernels::Variant;

/// A compute shader for a driver.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Module {
    /// The name of the function.
    pub entry_point: String,
    /// The shader.
    pub words: Vec<u32>,
    /// The storage buffers of group 0, by binding number.
    pub storage: Vec<u32>,
    /// The uniform buffer of group 0, if any.
    pub params: Option<u32>,
    /// Whether group 1 has the uniform buffer of the step.
    pub step: bool,
}

/// The shaders of a folder by name, read again so that an edited shader is seen without building the kernels.
pub struct Shaders(BTreeMap<String, kiln_build::Shader>);

impl Shaders {
    /// Reads `FOLDER/*.wgsl`.
    ///
    /// # Errors
    /// If a shader is invalid.
    pub fn read(folder: &Path) -> Result<Shaders> {
        let output = kiln_build::compile(folder).map_err(|error| error.to_string())?;
        Ok(Shaders(output.shaders.into_iter().map(|shader| (shader.name.clone(), shader)).collect()))
    }

    /// The SPIR-V of a kernel.
    ///
    /// # Errors
    /// If its shader no longer has the entry point, overrides or bindings with which it was built, or naga rejects it.
    pub fn spirv(&self, variant: &Variant) -> Result<Module> {
        let kernel = variant.kernel;
        let failed = |what: String| format!("{} {}: {what}", kernel.name, variant.values());
        let (file, _) = kernel.name.split_once('.').unwrap_or((kernel.name, ""));
        let shader = self.0.get(file).ok_or_else(|| failed(format!("expected a shader {file}.wgsl")))?;
        let constants: PipelineConstants =
            variant.overrides.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
        let entry = (ShaderStage::Compute, kernel.entry_point);
        let (module, info) = process_overrides(&shader.module, &shader.info, Some(entry), &constants)
            .map_err(|error| failed(error.to_string()))?;
        let entry_point = kernel.entry_point.to_owned();
        let pipeline = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: entry_point.clone() };
        let words = spv::write_vec(&module, &info, &options(), Some(&pipeline));
        Ok(Module {
            entry_point,
            words: words.map_err(|error| failed(error.to_string()))?,
            storage: kernel.bindings.iter().map(|binding| binding.binding).collect(),
            params: kernel.params.map(|params| params.binding),
            step: kernel.step,
        })
    }
}

/// Without run-time checks, as trusted kernels run.
fn options() -> spv::Options<'static> {
    let unchecked = BoundsCheckPolicy::Unchecked;
    spv::Options {
        lang_version: (1, 6),
        flags: spv::WriterFlags::LABEL_VARYINGS,
        bounds_check_policies: BoundsCheckPolicies {
            index: unchecked,
            buffer: unchecked,
            image_load: unchecked,
            binding_array: unchecked,
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        emit_int_div_checks: false,
        ..spv::Options::default()
    }
}
