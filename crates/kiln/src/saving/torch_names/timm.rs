//! timm's names of MobileNetV2 and EfficientNetB0, for networks with torchvision's names.

use std::collections::HashMap;

use super::super::weight_file::Candidate;
use crate::models::{EFFICIENTNET_B0_STAGES, MOBILENET_V2_STAGES};

/// The name of the first tensor.
pub const FIRST: &str = "conv_stem.weight";

/// The modules of a block, timm's and torchvision's names: those of the first block, which does not expand the channels, and
/// those of all others.
type Block = [&'static [(&'static str, &'static str)]; 2];

const MOBILENET_V2: Block = [
    &[("conv_dw", "0.0"), ("bn1", "0.1"), ("conv_pw", "1"), ("bn2", "2")],
    &[("conv_pw", "0.0"), ("bn1", "0.1"), ("conv_dw", "1.0"), ("bn2", "1.1"), ("conv_pwl", "2"), ("bn3", "3")],
];
const EFFICIENTNET_B0: Block = [
    &[
        ("conv_dw", "0.0"),
        ("bn1", "0.1"),
        ("se.conv_reduce", "1.fc1"),
        ("se.conv_expand", "1.fc2"),
        ("conv_pw", "2.0"),
        ("bn2", "2.1"),
    ],
    &[
        ("conv_pw", "0.0"),
        ("bn1", "0.1"),
        ("conv_dw", "1.0"),
        ("bn2", "1.1"),
        ("se.conv_reduce", "2.fc1"),
        ("se.conv_expand", "2.fc2"),
        ("conv_pwl", "3.0"),
        ("bn3", "3.1"),
    ],
];

/// timm's names, and the layers'. Without squeeze and excitation the file is one of MobileNetV2.
pub fn layers(tensors: &[Candidate]) -> HashMap<String, String> {
    let efficientnet = tensors.iter().any(|tensor| tensor.name == "blocks.0.0.se.conv_reduce.weight");
    // The blocks of each stage, and torchvision's names of the blocks, which are not grouped in stages in MobileNetV2.
    let (stages, block, last): (Vec<usize>, Block, usize) = if efficientnet {
        (EFFICIENTNET_B0_STAGES.iter().map(|stage| stage.2).collect(), EFFICIENTNET_B0, 8)
    } else {
        (MOBILENET_V2_STAGES.iter().map(|stage| stage.1).collect(), MOBILENET_V2, 18)
    };
    let ends = [
        ("conv_stem", "features.0.0".to_owned()),
        ("bn1", "features.0.1".to_owned()),
        ("conv_head", format!("features.{last}.0")),
        ("bn2", format!("features.{last}.1")),
        ("classifier", "classifier.1".to_owned()),
    ];
    let mut layers: HashMap<String, String> = ends.map(|(timm, layer)| (timm.to_owned(), layer)).into();
    let mut number = 0;
    for (stage, blocks) in stages.into_iter().enumerate() {
        for index in 0..blocks {
            number += 1;
            let prefix = match efficientnet {
                true => format!("features.{}.{index}.block", stage + 1),
                false => format!("features.{number}.conv"),
            };
            for (timm, layer) in block[usize::from(number > 1)] {
                layers.insert(format!("blocks.{stage}.{index}.{timm}"), format!("{prefix}.{layer}"));
            }
        }
    }
    layers
}
