//! Maps the weights of PyTorch's modules to layers: those of torchvision's and timm's networks, and of any network whose
//! layers have the names of the modules.
//!
//! PyTorch's kernels are `[outputs, inputs, height, width]` and `[outputs, inputs]`, Keras' `[height, width, inputs,
//! outputs]` and `[inputs, outputs]`. PyTorch flattens images in the order channels, rows, columns, Keras in the order rows,
//! columns, channels. In timm's VGG16, the dense layer after that is a convolution over the whole image.

mod inception_v3;
mod timm;
mod vgg16;

use std::collections::{HashMap, HashSet};

use kiln_graph::Shape;

use super::tensors::KernelLayout;
use super::weight_file::Candidate;
use crate::network::{Network, PlacedVariable};

/// Renames the tensors of PyTorch's files to Kiln's; tensors without a counterpart keep their names. Tensors that are
/// only needed for training are omitted.
pub(crate) fn candidates(tensors: Vec<Candidate>, network: &Network) -> Vec<Candidate> {
    let mut layers = layers_of_known_network(&tensors);
    for layer in network.layers.iter().filter(|layer| !layer.variables.is_empty()) {
        layers.insert(layer.name.clone(), layer.name.clone());
    }
    let normalizations = normalizations(&tensors);
    let used = tensors.into_iter().filter(|tensor| !only_for_training(&tensor.name));
    let named = used.map(|tensor| match module_and_parameter(&tensor.name) {
        Some((module, parameter)) => match layers.get(module) {
            Some(layer) => candidate(&tensor, layer, parameter, normalizations.contains(module), network),
            None => tensor,
        },
        None => tensor,
    });
    fold_gammas(named.collect(), network)
}

/// What to do with the tensors of a network that Keras has too, if they fit none of the model's layers.
pub(crate) fn hint(candidates: &[Candidate]) -> Option<String> {
    const FIRST: [&str; 3] = ["layer1.0.conv1.weight", "features.0.0.weight", "features.0.0/kernel"];
    let known = candidates.iter().any(|candidate| FIRST.contains(&candidate.name.as_str()));
    known.then(|| {
        "the file is one of torchvision or timm, whose networks have other padding, strides and epsilons than Keras'; \
         load it into the network of `models::torchvision`"
            .to_owned()
    })
}

/// The layers of a network of torchvision or timm, recognized by the names of its file: the modules' names, and the layers'.
fn layers_of_known_network(tensors: &[Candidate]) -> HashMap<String, String> {
    let known = tensors.iter().find_map(|tensor| match tensor.name.as_str() {
        "features.0.weight" => Some(vgg16::layers()),
        "Conv2d_1a_3x3.conv.weight" => Some(inception_v3::layers()),
        timm::FIRST => Some(timm::layers(tensors)),
        _ => None,
    });
    known.unwrap_or_default()
}

/// The parts of a name of PyTorch's; `None` if it is none.
fn module_and_parameter(name: &str) -> Option<(&str, &str)> {
    let (module, parameter) = name.rsplit_once('.')?;
    matches!(parameter, "weight" | "bias" | "running_mean" | "running_var").then_some((module, parameter))
}

/// The modules that normalize: their weights have one axis.
fn normalizations(tensors: &[Candidate]) -> HashSet<String> {
    let of_normalization = |tensor: &&Candidate| match module_and_parameter(&tensor.name) {
        Some((_, "weight")) => tensor.shape.len() == 1,
        Some((_, parameter)) => parameter.starts_with("running_"),
        None => false,
    };
    let module = |tensor: &Candidate| module_and_parameter(&tensor.name).map(|(module, _)| module.to_owned());
    tensors.iter().filter(of_normalization).filter_map(module).collect()
}

/// Whether a tensor belongs to InceptionV3's auxiliary classifier or is the batch count of statistics.
fn only_for_training(name: &str) -> bool {
    name.starts_with("AuxLogits.") || name.ends_with(".num_batches_tracked")
}

/// A parameter of PyTorch's module as a variable of a layer, with its shape there.
fn candidate(tensor: &Candidate, layer: &str, parameter: &str, normalizes: bool, network: &Network) -> Candidate {
    let variable = match (parameter, normalizes) {
        ("weight", false) => "kernel",
        ("weight", true) => "gamma",
        ("bias", false) => "bias",
        ("bias", true) => "beta",
        ("running_mean", _) => "moving_mean",
        _ => "moving_variance",
    };
    let name = format!("{layer}/{variable}");
    let expected = network.variables.iter().find(|variable| variable.name == name);
    let rank = expected.map(|variable| variable.shape.len());
    let (shape, channels) = match tensor.shape[..] {
        [outputs, inputs, height, width] if rank == Some(2) => {
            (Shape::from([inputs.saturating_mul(height).saturating_mul(width), outputs]), inputs)
        }
        [outputs, 1, height, width] => (depthwise(expected, [outputs, height, width]), 1),
        [outputs, inputs, height, width] => (Shape::from([height, width, inputs, outputs]), inputs),
        [outputs, inputs, taps] => (Shape::from([taps, inputs, outputs]), inputs),
        [outputs, inputs] => {
            let flattened = expected.and_then(|variable| flattened_channels(network, variable.layer));
            let flattened = flattened.filter(|&channels| channels > 0 && inputs % channels == 0);
            (Shape::from([inputs, outputs]), flattened.unwrap_or(inputs))
        }
        _ => return Candidate { name, ..tensor.clone() },
    };
    Candidate { name, shape, layout: KernelLayout::Torch { channels }, ..tensor.clone() }
}

/// The shape of a kernel for each channel by itself: that of a depthwise convolution, if the layer is one.
fn depthwise(expected: Option<&PlacedVariable>, [outputs, height, width]: [usize; 3]) -> Shape {
    match expected.map(|variable| &variable.shape[..]) {
        Some(&[_, _, channels, multiplier]) if channels.saturating_mul(multiplier) == outputs => {
            Shape::from([height, width, channels, multiplier])
        }
        _ => Shape::from([height, width, 1, outputs]),
    }
}

/// The channels of the images that a layer receives flattened; `None` if it does not.
fn flattened_channels(network: &Network, layer: usize) -> Option<usize> {
    let mut layer = network.layers.get(layer)?;
    loop {
        let [input] = layer.inputs[..] else { return None };
        layer = network.layers.get(input.layer()?)?;
        let (inputs, output) = layer.shapes.as_ref()?;
        match layer.layer.class_name() {
            "Flatten" => return inputs.first()?.last().copied(),
            _ if inputs.first() != Some(output) => return None,
            _ => {}
        }
    }
}

/// Keras' InceptionV3 has no `gamma`. As its convolutions have no bias, `gamma` can be folded into the kernel and the
/// moving mean.
fn fold_gammas(candidates: Vec<Candidate>, network: &Network) -> Vec<Candidate> {
    let has = |name: &str| network.variables.iter().any(|variable| variable.name == name);
    let stands_alone = |candidate: &Candidate| match candidate.name.strip_suffix("/gamma") {
        Some(layer) => !has(&candidate.name) && has(&format!("{layer}/moving_mean")),
        None => false,
    };
    let (gammas, mut rest): (Vec<_>, Vec<_>) = candidates.into_iter().partition(stands_alone);
    for gamma in gammas {
        let number = gamma.name.trim_start_matches("batch_normalization").trim_end_matches("/gamma");
        let scaled = [format!("conv2d{number}/kernel"), format!("batch_normalization{number}/moving_mean")];
        for candidate in rest.iter_mut().filter(|candidate| scaled.contains(&candidate.name)) {
            candidate.scale = Some(gamma.place);
            candidate.unread = candidate.unread.take().or_else(|| gamma.unread.clone());
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use safetensors::Dtype;
    use safetensors::tensor::TensorView;

    use super::*;
    use crate::layers::{
        BatchNormalization, Conv1D, Conv2D, Dense, DepthwiseConv2D, Dropout, Flatten, Layer, Reshape, ZeroPadding2D,
    };
    use crate::models::{Top, torchvision};
    use crate::{Model, Sequential};

    /// The tensors of torchvision's and timm's networks (`tests/peers/torch_networks.py`): a line for each network, and an
    /// indented one for each tensor.
    const TENSORS: &str = include_str!("../../../../../tests/fixtures/weights/torch_networks.txt");

    #[test]
    fn each_tensor_of_torchvision_and_timm_is_a_variable_of_its_shape() {
        let networks: Vec<&str> = TENSORS.lines().filter(|line| !line.starts_with(' ')).collect();
        assert_eq!(networks.len(), 6);
        for network in networks {
            let model = match network.split_once(' ').unwrap().1 {
                "resnet50" => torchvision::resnet50([224, 224, 3], Top::IMAGENET),
                "mobilenet_v2" => torchvision::mobilenet_v2([224, 224, 3], Top::IMAGENET),
                _ => torchvision::efficientnet_b0([224, 224, 3], Top::IMAGENET),
            };
            let tensors = TENSORS.lines().skip_while(|line| *line != network).skip(1);
            let tensors = tensors.take_while(|line| line.starts_with(' ')).enumerate().map(|(place, line)| {
                let (name, shape) = line.trim().split_once(' ').unwrap();
                let shape: Vec<usize> = shape.split(',').map(|extent| extent.parse().unwrap()).collect();
                let (name, shape) = (name.to_owned(), Shape::from(&shape[..]));
                Candidate { name, shape, place, layout: KernelLayout::Keras, scale: None, unread: None }
            });
            let mut found = named(candidates(tensors.collect(), model.network()));
            let variables = model.network().variables.iter();
            let mut expected: Vec<String> =
                variables.map(|variable| format!("{} {}", variable.name, variable.shape)).collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{network}");
        }
    }

    fn named(candidates: Vec<Candidate>) -> Vec<String> {
        candidates.iter().map(|candidate| format!("{} {}", candidate.name, candidate.shape)).collect()
    }

    #[test]
    fn layers_with_the_names_of_modules_are_those_modules() {
        let mut model = Sequential::new([4, 4, 2]);
        model
            .add(Conv2D::new(6, [3, 3]).groups(2).named("body.0"))
            .add(BatchNormalization::new().named("body.1"))
            .add(DepthwiseConv2D::new([1, 1]).depth_multiplier(2).named("body.2"))
            .add(Flatten)
            .add(Dropout::new(0.5))
            .add(Dense::new(3).named("head"));
        let tensor = |name: &str, shape: &[usize]| Candidate {
            name: name.to_owned(),
            shape: Shape::from(shape),
            place: 0,
            layout: KernelLayout::Keras,
            scale: None,
            unread: None,
        };
        let found = candidates(
            vec![
                tensor("body.0.weight", &[6, 1, 3, 3]),
                tensor("body.1.weight", &[6]),
                tensor("body.1.running_var", &[6]),
                tensor("body.1.num_batches_tracked", &[]),
                tensor("body.2.weight", &[12, 1, 1, 1]),
                tensor("head.weight", &[3, 48]),
                tensor("other.weight", &[3, 3]),
            ],
            model.network(),
        );
        let names = [
            "body.0/kernel [3, 3, 1, 6]",
            "body.1/gamma [6]",
            "body.1/moving_variance [6]",
            "body.2/kernel [1, 1, 6, 2]",
            "head/kernel [48, 3]",
            "other.weight [3, 3]",
        ];
        assert_eq!(named(found.clone()), names);
        assert_eq!(found[4].layout, KernelLayout::Torch { channels: 12 });
    }

    #[test]
    fn kernels_of_modules_are_transposed() {
        let count = |shape: &[usize]| shape.iter().product::<usize>();
        let tensors: [(&str, &[usize]); 4] = [
            ("dense.weight", &[2, 12]),
            ("depthwise.weight", &[4, 1, 1, 2]),
            ("grouped.weight", &[4, 1, 2, 1]),
            ("sequence.weight", &[3, 2, 2]),
        ];
        let bytes =
            tensors.map(|(_, shape)| (0..count(shape)).flat_map(|i| (i as f32).to_le_bytes()).collect::<Vec<u8>>());
        let views = tensors
            .iter()
            .zip(&bytes)
            .map(|(&(name, shape), bytes)| (name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap()));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        let mut model = Model::new([4, 3, 2]);
        let x = model.apply(Conv2D::new(4, [2, 1]).groups(2).use_bias(false).named("grouped"), model.input());
        let x = model.apply(DepthwiseConv2D::new([1, 2]).use_bias(false).named("depthwise"), x);
        let x = model.apply(Reshape::new([12, 2]), x);
        let x = model.apply(Conv1D::new(3, 2).strides(4).use_bias(false).named("sequence"), x);
        let x = model.apply(Reshape::new([1, 3, 3]), x);
        let x = model.apply(ZeroPadding2D::new([[0, 0], [0, 1]]), x);
        let x = model.apply(Flatten, x);
        model.apply(Dense::new(2).use_bias(false).named("dense"), x);
        model.load_weights(path).unwrap();
        let found: Vec<Vec<f32>> = model.get_weights().unwrap().into_iter().map(|weight| weight.values).collect();
        // [taps, channels of a group, filters], and of the dense layer [columns, channels, units].
        assert_eq!(found[0], [0.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0, 7.0]);
        assert_eq!(found[1], [0.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0, 7.0]);
        assert_eq!(found[2], [0.0, 4.0, 8.0, 2.0, 6.0, 10.0, 1.0, 5.0, 9.0, 3.0, 7.0, 11.0]);
        let dense =
            (0..4).flat_map(|column| (0..3).flat_map(move |channel| [0, 12].map(|unit| unit + channel * 4 + column)));
        assert_eq!(found[3], dense.map(|value| value as f32).collect::<Vec<f32>>());
    }

    #[test]
    fn a_network_of_keras_refuses_the_weights_of_torchvision() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let view = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
        std::fs::write(&path, safetensors::serialize([("layer1.0.conv1.weight", view)], None).unwrap()).unwrap();
        let mut model = Sequential::new([4, 4, 1]);
        model.add(Conv2D::new(1, [1, 1]).named("conv1_conv"));
        let error = model.load_weights(path).unwrap_err().to_string();
        assert!(error.ends_with("load it into the network of `models::torchvision`"), "{error}");
    }

    /// A model like the start of InceptionV3, with weights in torchvision's format.
    fn loaded(normalization: BatchNormalization) -> Vec<Vec<f32>> {
        let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let tensors = [
            ("conv.weight", vec![2, 1, 1, 2], vec![1.0, 2.0, 3.0, 4.0]),
            ("bn.weight", vec![2], vec![0.5, -2.0]),
            ("bn.bias", vec![2], vec![5.0, 6.0]),
            ("bn.running_mean", vec![2], vec![7.0, 8.0]),
            ("bn.running_var", vec![2], vec![9.0, 10.0]),
        ];
        let mut tensors: Vec<_> = tensors
            .into_iter()
            .map(|(name, shape, values)| (format!("Conv2d_1a_3x3.{name}"), Dtype::F32, shape, floats(&values)))
            .collect();
        tensors.push(("Conv2d_1a_3x3.bn.num_batches_tracked".to_owned(), Dtype::I64, Vec::new(), vec![0; 8]));
        tensors.push(("AuxLogits.fc.bias".to_owned(), Dtype::F32, vec![1], vec![0; 4]));
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        let mut model = Sequential::new([2, 2, 1]);
        model.add(Conv2D::new(2, [1, 2]).use_bias(false)).add(normalization);
        model.load_weights(path).unwrap();
        model.get_weights().unwrap().into_iter().map(|weight| weight.values).collect()
    }

    #[test]
    fn a_factor_without_a_place_goes_into_the_kernel_before_it() {
        assert_eq!(
            loaded(BatchNormalization::new().scale(false)),
            [vec![0.5, -6.0, 1.0, -8.0], vec![5.0, 6.0], vec![3.5, -16.0], vec![9.0, 10.0]]
        );
        assert_eq!(
            loaded(BatchNormalization::new()),
            [vec![1.0, 3.0, 2.0, 4.0], vec![0.5, -2.0], vec![5.0, 6.0], vec![7.0, 8.0], vec![9.0, 10.0]]
        );
    }
}
