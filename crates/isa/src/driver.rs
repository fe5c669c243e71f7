//! Compiles shaders with RADV's null device, a driver without a GPU, and reads the machine code and its statistics.
//!
//! RADV chooses the GPU to compile for by an environment variable when its library starts, so each chip needs its own
//! process: [`compile`] starts this program again, which calls [`compile_here`].

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

use ash::{Device, Entry, Instance, khr, vk};
use serde::{Deserialize, Serialize};

use crate::spirv::Module;
use crate::{Result, SKIPPED};

/// The folders in which drivers are registered.
const DRIVERS: [&str; 3] = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
/// The file of the shaders to compile.
const MODULES: &str = "modules.json";

/// The machine code of a shader.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Compiled {
    /// The driver's statistics, by name: `VGPRs`, `Code size`.
    pub statistics: BTreeMap<String, u64>,
    /// The disassembly; empty if the driver cannot disassemble code of this chip.
    pub assembly: String,
}

/// The machine code of all shaders for a chip.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Compilation {
    /// The version of the driver: `Mesa 25.0.7-2~bpo12+1`.
    pub driver: String,
    /// One per shader.
    pub shaders: Vec<Compiled>,
}

/// RADV's registrations, one per architecture that it is installed for, as the Vulkan loader expects them; `None` if the
/// driver is not installed. The loader ignores those of other architectures.
fn installed() -> Option<OsString> {
    let files = DRIVERS.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let mut paths: Vec<PathBuf> = files.map(|file| file.path()).collect();
    paths.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("radeon_icd")));
    paths.sort();
    std::env::join_paths(paths).ok().filter(|joined| !joined.is_empty())
}

/// Compiles shaders for chips, at the same time; `None` if the driver or the Vulkan loader is missing.
///
/// # Errors
/// If the driver rejects a shader.
pub fn compile(chips: &[&str], modules: &[Module], folder: &Path) -> Result<Option<Vec<Compilation>>> {
    let Some(driver) = installed() else { return Ok(None) };
    let written = serde_json::to_vec(modules).map_err(|error| error.to_string())?;
    fs::write(folder.join(MODULES), written).map_err(|error| error.to_string())?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let start = |chip: &&str| {
        Command::new(&program)
            .args(["--compile-for", chip, "--keep"])
            .arg(folder)
            .env("VK_DRIVER_FILES", &driver)
            .env("VK_ICD_FILENAMES", &driver)
            .env("RADV_FORCE_FAMILY", chip)
            .env("RADV_DEBUG", "nocache")
            .env("XDG_RUNTIME_DIR", folder)
            .spawn()
            .map_err(|error| error.to_string())
    };
    let running: Vec<Result<Child>> = chips.iter().map(start).collect();
    // All processes end before the first failure is reported: they use the folder.
    let wait = |process: Result<Child>| process?.wait().map_err(|error| error.to_string());
    let ended: Vec<Result<ExitStatus>> = running.into_iter().map(wait).collect();
    let mut is_missing = false;
    for (chip, status) in chips.iter().zip(ended) {
        let status = status?;
        is_missing |= status.code() == Some(i32::from(SKIPPED));
        if !status.success() && !is_missing {
            return Err(format!("RADV cannot compile the kernels for {chip} ({status})"));
        }
    }
    if is_missing {
        return Ok(None);
    }
    chips.iter().map(|chip| read(&answer(folder, chip))).collect::<Result<_>>().map(Some)
}

/// Compiles the shaders in a folder, in a process for this chip; `false` if the Vulkan loader is missing or lists no
/// device.
///
/// # Errors
/// As [`compile`].
pub fn compile_here(chip: &str, folder: &Path) -> Result<bool> {
    let modules: Vec<Module> = read(&folder.join(MODULES))?;
    // SAFETY: Vulkan is used as it specifies: each handle is created from its parents, which outlive it.
    let Some(driver) = (unsafe { Driver::open() })? else { return Ok(false) };
    // SAFETY: as above.
    let compilation = unsafe { driver.compile(&modules) }?;
    let written = serde_json::to_vec(&compilation).map_err(|error| error.to_string())?;
    fs::write(answer(folder, chip), written).map_err(|error| error.to_string())?;
    Ok(true)
}

fn answer(folder: &Path, chip: &str) -> PathBuf {
    folder.join(format!("{chip}.json"))
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// The driver's device. Its objects live as long as the process.
struct Driver {
    _entry: Entry,
    _instance: Instance,
    device: Device,
    query: khr::pipeline_executable_properties::Device,
    version: String,
}

impl Driver {
    /// `None` if the Vulkan loader is missing, or lists no device.
    unsafe fn open() -> Result<Option<Driver>> {
        let vulkan = |what: &'static str| move |error: vk::Result| format!("{what}: {error}");
        // SAFETY: see `compile_here`.
        unsafe {
            let Ok(entry) = Entry::load() else { return Ok(None) };
            let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
            let create = vk::InstanceCreateInfo::default().application_info(&application);
            let instance = match entry.create_instance(&create, None) {
                // No registered driver is of this architecture.
                Err(vk::Result::ERROR_INCOMPATIBLE_DRIVER) => return Ok(None),
                created => created.map_err(vulkan("create an instance"))?,
            };
            let devices = instance.enumerate_physical_devices().map_err(vulkan("list the devices"))?;
            let Some(&physical) = devices.first() else { return Ok(None) };
            let mut driver = vk::PhysicalDeviceDriverProperties::default();
            let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut driver);
            instance.get_physical_device_properties2(physical, &mut properties);
            let version = text(&driver.driver_info);

            let queues = [vk::DeviceQueueCreateInfo::default().queue_family_index(0).queue_priorities(&[1.0])];
            let extensions = [khr::pipeline_executable_properties::NAME.as_ptr()];
            let mut executables =
                vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default().pipeline_executable_info(true);
            let mut subgroups = vk::PhysicalDeviceVulkan13Features::default().subgroup_size_control(true);
            let mut halves = vk::PhysicalDeviceVulkan12Features::default().shader_float16(true);
            let mut storage = vk::PhysicalDeviceVulkan11Features::default()
                .storage_buffer16_bit_access(true)
                .uniform_and_storage_buffer16_bit_access(true);
            let create = vk::DeviceCreateInfo::default()
                .queue_create_infos(&queues)
                .enabled_extension_names(&extensions)
                .push_next(&mut executables)
                .push_next(&mut subgroups)
                .push_next(&mut halves)
                .push_next(&mut storage);
            let device = instance.create_device(physical, &create, None).map_err(vulkan("open the null device"))?;
            let query = khr::pipeline_executable_properties::Device::new(&instance, &device);
            Ok(Some(Driver { _entry: entry, _instance: instance, device, query, version }))
        }
    }

    unsafe fn compile(&self, modules: &[Module]) -> Result<Compilation> {
        // SAFETY: see `compile_here`.
        let shaders = modules
            .iter()
            .map(|module| unsafe { self.shader(module).map_err(|error| format!("{}: {error}", module.entry_point)) });
        Ok(Compilation { shaders: shaders.collect::<Result<_>>()?, driver: self.version.clone() })
    }

    unsafe fn shader(&self, module: &Module) -> Result<Compiled> {
        let entry_point = CString::new(module.entry_point.as_str()).map_err(|error| error.to_string())?;
        // SAFETY: see `compile_here`; naga has validated the shader.
        let run = || unsafe {
            let layout = self.layout(module)?;
            let create = vk::ShaderModuleCreateInfo::default().code(&module.words);
            let shader = self.device.create_shader_module(&create, None)?;
            let stage = vk::PipelineShaderStageCreateInfo::default()
                .flags(vk::PipelineShaderStageCreateFlags::ALLOW_VARYING_SUBGROUP_SIZE)
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(shader)
                .name(&entry_point);
            let flags = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
                | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
            let create = vk::ComputePipelineCreateInfo::default().layout(layout).stage(stage).flags(flags);
            let pipelines = self.device.create_compute_pipelines(vk::PipelineCache::null(), &[create], None);
            let pipeline = pipelines.map_err(|(_, error)| error)?[0];
            let compiled = self.inspect(pipeline);
            self.device.destroy_pipeline(pipeline, None);
            self.device.destroy_shader_module(shader, None);
            compiled
        };
        run().map_err(|error: vk::Result| error.to_string())
    }

    unsafe fn layout(&self, module: &Module) -> std::result::Result<vk::PipelineLayout, vk::Result> {
        let binding = |number: u32, ty: vk::DescriptorType| {
            vk::DescriptorSetLayoutBinding::default()
                .binding(number)
                .descriptor_type(ty)
                .descriptor_count(1)
                .stage_flags(vk::ShaderStageFlags::COMPUTE)
        };
        let uniform = vk::DescriptorType::UNIFORM_BUFFER;
        let storage = module.storage.iter().map(|&number| binding(number, vk::DescriptorType::STORAGE_BUFFER));
        let mut groups = vec![storage.chain(module.params.map(|number| binding(number, uniform))).collect::<Vec<_>>()];
        groups.extend(module.step.then(|| vec![binding(0, vk::DescriptorType::UNIFORM_BUFFER_DYNAMIC)]));
        let set = |bindings: &Vec<vk::DescriptorSetLayoutBinding<'_>>| {
            let create = vk::DescriptorSetLayoutCreateInfo::default().bindings(bindings);
            // SAFETY: see `compile_here`.
            unsafe { self.device.create_descriptor_set_layout(&create, None) }
        };
        let sets = groups.iter().map(set).collect::<std::result::Result<Vec<_>, _>>()?;
        let create = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
        // SAFETY: see `compile_here`.
        unsafe { self.device.create_pipeline_layout(&create, None) }
    }

    /// The statistics and the disassembly of a pipeline.
    unsafe fn inspect(&self, pipeline: vk::Pipeline) -> std::result::Result<Compiled, vk::Result> {
        // SAFETY: see `compile_here`; a statistic's format selects the field of its value.
        unsafe {
            let of = vk::PipelineInfoKHR::default().pipeline(pipeline);
            let executables = self.query.get_pipeline_executable_properties(&of)?;
            let info = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline).executable_index(0);
            let mut statistics = BTreeMap::new();
            for statistic in self.query.get_pipeline_executable_statistics(&info)? {
                let value = match statistic.format {
                    vk::PipelineExecutableStatisticFormatKHR::UINT64 => statistic.value.u64,
                    vk::PipelineExecutableStatisticFormatKHR::INT64 => statistic.value.i64.max(0) as u64,
                    _ => continue,
                };
                statistics.insert(text(&statistic.name), value);
            }
            let size = executables.first().map_or(0, |executable| executable.subgroup_size);
            statistics.insert("Subgroup size".to_owned(), u64::from(size));
            Ok(Compiled { statistics, assembly: self.assembly(&info)? })
        }
    }

    /// The internal representation with the disassembly: a first call returns the sizes, a second one the texts.
    unsafe fn assembly(&self, info: &vk::PipelineExecutableInfoKHR<'_>) -> std::result::Result<String, vk::Result> {
        // SAFETY: see `compile_here`; each text is written to a buffer of the size that the driver asked for.
        unsafe {
            let mut representations = self.query.get_pipeline_executable_internal_representations(info)?;
            let mut texts: Vec<Vec<u8>> = representations.iter().map(|found| vec![0; found.data_size]).collect();
            for (representation, text) in representations.iter_mut().zip(&mut texts) {
                representation.p_data = text.as_mut_ptr().cast();
            }
            let mut count = representations.len() as u32;
            let get = self.query.fp().get_pipeline_executable_internal_representations_khr;
            get(self.query.device(), info, &mut count, representations.as_mut_ptr()).result()?;
            let is_assembly = |name: &[std::ffi::c_char]| text(name).to_lowercase().contains("assembly");
            let mut found = representations.iter().zip(&texts).filter(|(found, _)| is_assembly(&found.name));
            let bytes = found.next().map(|(_, text)| text.as_slice()).unwrap_or_default();
            Ok(String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned())
        }
    }
}

/// The text in a field of characters that ends with a zero.
fn text(field: &[std::ffi::c_char]) -> String {
    let bytes: Vec<u8> = field.iter().map(|&character| character as u8).collect();
    CStr::from_bytes_until_nul(&bytes).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}
