//! The layers of InceptionV3.

use std::collections::HashMap;

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

/// The layers of InceptionV3: PyTorch's and Keras' names.
pub fn layers() -> HashMap<String, String> {
    let convolutions = INCEPTION_V3.iter().flat_map(|&(block, names)| names.iter().map(move |name| (block, name)));
    let mut layers = HashMap::from([("fc".to_owned(), "predictions".to_owned())]);
    for (index, (block, name)) in convolutions.enumerate() {
        let counted = |stem: &str| if index == 0 { stem.to_owned() } else { format!("{stem}_{index}") };
        layers.insert(format!("{block}{name}.conv"), counted("conv2d"));
        layers.insert(format!("{block}{name}.bn"), counted("batch_normalization"));
    }
    layers
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]

    use super::*;

    /// The mapping of torchvision's layers to Keras' for which `tests/peers/torch_weights.py` computed the same
    /// features.
    const TRIED_OUT: &str = include_str!("../../../../../tests/fixtures/weights/inception_v3.txt");

    #[test]
    fn layers_of_inception_v3_are_those_that_give_the_same_features() {
        let layers = layers();
        let lines: Vec<Vec<&str>> = TRIED_OUT.lines().map(|line| line.split(' ').collect()).collect();
        assert_eq!(layers.len(), 2 * lines.len() + 1);
        for line in lines {
            let [torch, conv, normalization] = line[..] else { panic!("{line:?}") };
            assert_eq!(layers[&format!("{torch}.conv")], conv);
            assert_eq!(layers[&format!("{torch}.bn")], normalization);
        }
    }
}
