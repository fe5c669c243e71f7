//! Maps the weights of torchvision's and timm's VGG16 and InceptionV3 to Keras' layers.
//!
//! PyTorch's kernels are `[outputs, inputs, height, width]` and `[outputs, inputs]`, Keras' `[height, width, inputs,
//! outputs]` and `[inputs, outputs]`. Before VGG16's first dense layer, PyTorch flattens images in the order channels,
//! rows, columns, Keras in the order rows, columns, channels. In timm, that layer is a convolution over the whole
//! image.

use std::collections::HashMap;

use kiln_graph::Shape;

use super::tensors::KernelLayout;
use super::weight_file::Candidate;
use crate::network::Network;

const VGG16: [(&str, &str); 19] = [
    ("features.0", "block1_conv1"),
    ("features.2", "block1_conv2"),
    ("features.5", "block2_conv1"),
    ("features.7", "block2_conv2"),
    ("features.10", "block3_conv1"),
    ("features.12", "block3_conv2"),
    ("features.14", "block3_conv3"),
    ("features.17", "block4_conv1"),
    ("features.19", "block4_conv2"),
    ("features.21", "block4_conv3"),
    ("features.24", "block5_conv1"),
    ("features.26", "block5_conv2"),
    ("features.28", "block5_conv3"),
    ("classifier.0", "fc1"),
    ("classifier.3", "fc2"),
    ("classifier.6", "predictions"),
    ("pre_logits.fc1", "fc1"),
    ("pre_logits.fc2", "fc2"),
    ("head.fc", "predictions"),
];
/// The last layer before VGG16's first dense one.
const VGG16_LAST_CONVOLUTION: &str = "features.28.weight";

/// InceptionV3's convolutions in Keras' order of creation: the first is `conv2d`, the next `conv2d_1`.
const INCEPTION_V3: [(&str, &[&str]); 12] = [
    ("", &["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"]),
    ("Mixed_5b.", A),
    ("Mixed_5c.", A),
    ("Mixed_5d.", A),
    ("Mixed_6a.", &["branch3x3", "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"]),
    ("Mixed_6b.", C),
    ("Mixed_6c.", C),
    ("Mixed_6d.", C),
    ("Mixed_6e.", C),
    ("Mixed_7a.", &["branch3x3_1", "branch3x3_2", "branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3", "branch7x7x3_4"]),
    ("Mixed_7b.", E),
    ("Mixed_7c.", E),
];
const A: &[&str] =
    &["branch1x1", "branch5x5_1", "branch5x5_2", "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3", "branch_pool"];
const C: &[&str] = &[
    "branch1x1",
    "branch7x7_1",
    "branch7x7_2",
    "branch7x7_3",
    "branch7x7dbl_1",
    "branch7x7dbl_2",
    "branch7x7dbl_3",
    "branch7x7dbl_4",
    "branch7x7dbl_5",
    "branch_pool",
];
const E: &[&str] = &[
    "branch1x1",
    "branch3x3_1",
    "branch3x3_2a",
    "branch3x3_2b",
    "branch3x3dbl_1",
    "branch3x3dbl_2",
    "branch3x3dbl_3a",
    "branch3x3dbl_3b",
    "branch_pool",
];

/// Renames the tensors of PyTorch's files to Keras'; tensors without a counterpart keep their names. Tensors that are
/// only needed for training are omitted.
pub(crate) fn candidates(tensors: Vec<Candidate>, network: &Network) -> Vec<Candidate> {
    let layers = match tensors.iter().find_map(|tensor| first_layer(&tensor.name)) {
        Some(First::Vgg16) => VGG16.map(|(torch, keras)| (torch.to_owned(), keras.to_owned())).into(),
        Some(First::InceptionV3) => inception_v3(),
        None => return tensors,
    };
    let channels = tensors.iter().find(|tensor| tensor.name == VGG16_LAST_CONVOLUTION);
    let channels = channels.and_then(|tensor| tensor.shape.first().copied());
    let used = tensors.into_iter().filter(|tensor| !only_for_training(&tensor.name));
    let named = used.map(|tensor| candidate(tensor, &layers, channels)).collect();
    fold_gammas(named, network)
}

enum First {
    Vgg16,
    InceptionV3,
}

fn first_layer(name: &str) -> Option<First> {
    match name {
        "features.0.weight" => Some(First::Vgg16),
        "Conv2d_1a_3x3.conv.weight" => Some(First::InceptionV3),
        _ => None,
    }
}

/// The layers of InceptionV3: PyTorch's and Keras' names.
fn inception_v3() -> HashMap<String, String> {
    let convolutions = INCEPTION_V3.iter().flat_map(|&(block, names)| names.iter().map(move |name| (block, name)));
    let mut layers = HashMap::from([("fc".to_owned(), "predictions".to_owned())]);
    for (index, (block, name)) in convolutions.enumerate() {
        let counted = |stem: &str| if index == 0 { stem.to_owned() } else { format!("{stem}_{index}") };
        layers.insert(format!("{block}{name}.conv"), counted("conv2d"));
        layers.insert(format!("{block}{name}.bn"), counted("batch_normalization"));
    }
    layers
}

/// Whether a tensor belongs to InceptionV3's auxiliary classifier or is the batch count of statistics.
fn only_for_training(name: &str) -> bool {
    name.starts_with("AuxLogits.") || name.ends_with(".num_batches_tracked")
}

/// A tensor with Keras' name and shape; unchanged if Keras' model has no such layer. `channels` are those of flattened
/// images.
fn candidate(tensor: Candidate, layers: &HashMap<String, String>, channels: Option<usize>) -> Candidate {
    let Some((module, parameter)) = tensor.name.rsplit_once('.') else { return tensor };
    let Some(layer) = layers.get(module) else { return tensor };
    let variable = match (parameter, module.ends_with(".bn")) {
        ("weight", false) => "kernel",
        ("weight", true) => "gamma",
        ("bias", false) => "bias",
        ("bias", true) => "beta",
        ("running_mean", true) => "moving_mean",
        ("running_var", true) => "moving_variance",
        _ => return tensor,
    };
    let dense = matches!(layer.as_str(), "fc1" | "fc2" | "predictions");
    let (shape, channels) = match tensor.shape[..] {
        [outputs, inputs, height, width] if dense => {
            (Shape::from([inputs.saturating_mul(height).saturating_mul(width), outputs]), inputs)
        }
        [outputs, inputs, height, width] => (Shape::from([height, width, inputs, outputs]), inputs),
        [outputs, inputs] => {
            let flattened = channels.filter(|&channels| layer == "fc1" && channels > 0 && inputs % channels == 0);
            (Shape::from([inputs, outputs]), flattened.unwrap_or(inputs))
        }
        _ => return Candidate { name: format!("{layer}/{variable}"), ..tensor },
    };
    Candidate { name: format!("{layer}/{variable}"), shape, layout: KernelLayout::Torch { channels }, ..tensor }
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
    #![allow(clippy::unwrap_used, clippy::panic)]

    use safetensors::Dtype;
    use safetensors::tensor::TensorView;

    use super::*;
    use crate::Sequential;
    use crate::layers::{BatchNormalization, Conv2D};

    /// The mapping of torchvision's layers to Keras' for which `tests/peers/torch_weights.py` computed the same
    /// features.
    const TRIED_OUT: &str = include_str!("../../../../tests/fixtures/weights/inception_v3.txt");

    #[test]
    fn layers_of_inception_v3_are_those_that_give_the_same_features() {
        let layers = inception_v3();
        let lines: Vec<Vec<&str>> = TRIED_OUT.lines().map(|line| line.split(' ').collect()).collect();
        assert_eq!(layers.len(), 2 * lines.len() + 1);
        for line in lines {
            let [torch, conv, normalization] = line[..] else { panic!("{line:?}") };
            assert_eq!(layers[&format!("{torch}.conv")], conv);
            assert_eq!(layers[&format!("{torch}.bn")], normalization);
        }
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
