//! The kernels that the networks run on a GPU, with their override values.

use std::collections::BTreeMap;

use kiln::data::{Dataset, Labels};
use kiln::graph::{Choice, Choices, Graph, Kernel, Limits, Plan, PlannedCall, Tensor};
use kiln::models::{self, Top};
use kiln::{Compile, Fit, Model};
use kiln_bench::Recorder;

use crate::Result;

/// The limits of a large GPU.
const LIMITS: Limits = Limits {
    max_binding_bytes: (1 << 31) - 4,
    max_buffer_bytes: (1 << 31) - 4,
    subgroup_sizes: Some([32, 64]),
    cooperative_matrices: false,
    ..Limits::WEBGPU
};

/// A kernel with override values.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// The override values, by name.
    pub overrides: Vec<(&'static str, f64)>,
    /// The first network and layer that use it: `lenet conv1`.
    pub used_by: String,
    /// Whether only tuning can choose it.
    pub is_alternative: bool,
    /// Whether the call computes a product or a convolution by a kernel that is written for GPUs.
    pub is_product: bool,
}

impl Variant {
    /// The override values as text: `depth=20 columns=52`.
    pub fn values(&self) -> String {
        self.overrides.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    fn new(call: &PlannedCall, used_by: String, is_alternative: bool) -> Variant {
        let is_product = call.flops > 0 && call.kernel.native().is_none();
        Variant { kernel: call.kernel, overrides: call.overrides.clone(), used_by, is_alternative, is_product }
    }
}

/// A network with its batch size.
struct Network {
    model: Model,
    classes: usize,
    batch: usize,
}

/// The networks whose kernels are compiled.
fn networks() -> [Network; 5] {
    let (small, large) = ((10, 128), (1000, 8));
    let network = |model, (classes, batch)| Network { model, classes, batch };
    [
        network(models::lenet([28, 28, 1], small.0), small),
        network(models::cifar10_deep([32, 32, 3], small.0), small),
        network(models::vgg16([224, 224, 3], Top::IMAGENET), large),
        network(models::inception_v3([299, 299, 3], Top::IMAGENET), large),
        network(models::efficientnet_b0([224, 224, 3], Top::IMAGENET), large),
    ]
}

/// The kernels of a training step, a prediction of a batch and one of a single sample of each network, by kernel and
/// override values. Both those that the heuristics choose and the alternatives that tuning can choose are included.
///
/// # Errors
/// If a network cannot be planned.
pub fn variants() -> Result<Vec<Variant>> {
    let mut found: BTreeMap<(String, String), Variant> = BTreeMap::new();
    let mut add = |variant: Variant| {
        found.entry((variant.kernel.name.to_owned(), variant.values())).or_insert(variant);
    };
    let mut choices: BTreeMap<String, (Choice, String)> = BTreeMap::new();
    for network in networks() {
        let name = network.model.name().to_owned();
        for plan in plans(network)? {
            plan.calls.iter().for_each(|call| add(Variant::new(call, format!("{name} {}", call.scope), false)));
            for choice in plan.choices {
                choices.entry(choice.key()).or_insert((choice, name.clone()));
            }
        }
    }
    for (choice, name) in choices.values() {
        for place in 1..choice.kernels.len() {
            let used_by = format!("{name} {}", choice.op.name());
            alternative(choice, place)?.calls.iter().for_each(|call| add(Variant::new(call, used_by.clone(), true)));
        }
    }
    Ok(found.into_values().collect())
}

/// The plans of training and predictions, recorded.
fn plans(network: Network) -> Result<Vec<Plan>> {
    let Network { mut model, classes, batch } = network;
    let (recorder, device) = Recorder::device(LIMITS);
    let shape = model.input_shape().clone();
    let data = |count: usize| {
        let (values, labels) = (vec![0; count * shape.elements()], Labels::index(vec![0; count], classes));
        let dataset = Dataset::from_u8(shape.clone(), values, labels).map_err(|error| error.to_string())?;
        Ok::<_, String>(dataset.rescaled(1.0, 0.0)) // as a network that scales pictures itself expects
    };
    let (samples, single) = (data(batch)?, data(1)?);
    let mut run = || {
        model.compile(&device, Compile::default())?;
        model.fit(&samples, Fit { batch_size: batch, ..Fit::default() })?;
        model.predict(&samples)?;
        model.predict(&single)
    };
    run().map_err(|error| error.to_string())?;
    Ok(recorder.plans())
}

/// The plan of an op alone, with its kernel at this index.
fn alternative(choice: &Choice, place: usize) -> Result<Plan> {
    let mut choices = Choices::default();
    choices.set(choice, place);
    let mut graph = Graph::new();
    let input = |graph: &mut Graph, i: usize, ty| {
        let buffer = graph.buffer(&format!("input {i}"));
        graph.persistent(ty, buffer, 0)
    };
    let types = choice.inputs.iter().cloned().enumerate();
    let inputs: Vec<Tensor> = types.map(|(i, ty)| input(&mut graph, i, ty)).collect();
    let mut plan = || {
        for (i, output) in graph.add_shared(choice.op.clone(), &inputs)?.into_iter().enumerate() {
            let buffer = graph.buffer(&format!("output {i}"));
            graph.place(output, buffer, 0)?;
        }
        Plan::with(&graph, &LIMITS, &choices)
    };
    plan().map_err(|error| error.to_string())
}
