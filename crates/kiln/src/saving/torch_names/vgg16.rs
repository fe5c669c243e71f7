//! The layers of VGG16.

use std::collections::HashMap;

/// PyTorch's and Keras' names; the last three are timm's.
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

/// PyTorch's names, and Keras'.
pub fn layers() -> HashMap<String, String> {
    VGG16.map(|(torch, keras)| (torch.to_owned(), keras.to_owned())).into()
}
