//! Layers as model files hold them: Keras' constructor arguments as JSON.

use std::sync::Arc;

use kiln_ops::Padding;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{
    Activation, Add, AveragePooling2D, BatchNormalization, Concatenate, Conv2D, Dense, Dropout, Flatten, Layer,
    MaxPooling2D,
};

/// A layer whose fields are named as Keras' constructor arguments.
pub(crate) trait Saved: Layer + Serialize + DeserializeOwned + 'static {
    /// Keras' name of the class.
    const CLASS_NAME: &'static str;

    /// Arguments that Keras has and for which Kiln knows one value only: they are written, and checked on reading.
    fn fixed() -> Value;
}

/// The layer of this class with these arguments, as [`Layer::config`] gave them.
///
/// # Errors
/// When the class is unknown, or an argument is unknown, missing or has a value that the layer does not know.
pub(crate) fn from_config(class_name: &str, config: &Map<String, Value>) -> Result<Arc<dyn Layer>, String> {
    match class_name {
        Activation::CLASS_NAME => read::<Activation>(config),
        Add::CLASS_NAME => read::<Add>(config),
        AveragePooling2D::CLASS_NAME => read::<AveragePooling2D>(config),
        BatchNormalization::CLASS_NAME => read::<BatchNormalization>(config),
        Concatenate::CLASS_NAME => read::<Concatenate>(config),
        Conv2D::CLASS_NAME => read::<Conv2D>(config),
        Dense::CLASS_NAME => read::<Dense>(config),
        Dropout::CLASS_NAME => read::<Dropout>(config),
        Flatten::CLASS_NAME => read::<Flatten>(config),
        MaxPooling2D::CLASS_NAME => read::<MaxPooling2D>(config),
        _ => Err("Kiln has no such layer".to_owned()),
    }
}

/// The arguments of a layer, its own and the fixed ones.
pub(super) fn to_config<L: Saved>(layer: &L) -> Map<String, Value> {
    let own = serde_json::to_value(layer).unwrap_or_default();
    let parts = [own, L::fixed()];
    parts.into_iter().filter_map(|part| part.as_object().cloned()).flatten().collect()
}

fn read<L: Saved>(config: &Map<String, Value>) -> Result<Arc<dyn Layer>, String> {
    let fixed = L::fixed();
    let fixed = fixed.as_object().cloned().unwrap_or_default();
    let own: Map<String, Value> =
        config.iter().filter(|(key, _)| !fixed.contains_key(*key)).map(|(k, v)| (k.clone(), v.clone())).collect();
    for (key, expected) in &fixed {
        if let Some(found) = config.get(key).filter(|found| *found != expected) {
            return Err(format!("{key}: expected {expected}, found {found}"));
        }
    }
    let layer: L = serde_json::from_value(Value::Object(own.clone())).map_err(|error| error.to_string())?;
    let known = to_config(&layer);
    match own.iter().find(|(key, value)| !value.is_null() && !known.contains_key(*key)) {
        Some((key, value)) => Err(format!("{key}: Kiln does not know this argument, found {value}")),
        None => Ok(Arc::new(layer)),
    }
}

/// [`Padding`] by Keras' names.
pub(super) mod padding {
    use super::*;

    pub(in crate::layers) fn serialize<S: Serializer>(padding: &Padding, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match padding {
            Padding::Same => "same",
            Padding::Valid => "valid",
        })
    }

    pub(in crate::layers) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Padding, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "same" => Ok(Padding::Same),
            "valid" => Ok(Padding::Valid),
            found => {
                Err(serde::de::Error::custom(format!("expected padding \"same\" or \"valid\", found \"{found}\"")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use serde_json::json;

    use super::*;
    use crate::layers::Function;

    fn read_back(layer: &dyn Layer) -> Arc<dyn Layer> {
        from_config(layer.class_name(), &layer.config()).unwrap()
    }

    fn error(class_name: &str, config: Value) -> String {
        from_config(class_name, config.as_object().unwrap()).unwrap_err()
    }

    #[test]
    fn every_layer_reads_what_it_writes() {
        let layers: [Box<dyn Layer>; 10] = [
            Box::new(crate::layers::Add::default()),
            Box::new(crate::layers::Concatenate::new()),
            Box::new(Activation::new(Function::LeakyRelu)),
            Box::new(AveragePooling2D::new([3, 1]).strides([1, 2]).padding(Padding::Same)),
            Box::new(BatchNormalization::new().momentum(0.9).epsilon(1e-5).scale(false)),
            Box::new(Conv2D::new(7, [1, 3]).strides([2, 1]).activation(Function::Swish).use_bias(false)),
            Box::new(Dense::new(3).activation(crate::layers::ActivationFunction::Softmax)),
            Box::new(Dropout::new(0.25)),
            Box::new(Flatten),
            Box::new(MaxPooling2D::new([2, 2])),
        ];
        for layer in layers {
            assert_eq!(format!("{:?}", read_back(&*layer)), format!("{layer:?}"));
        }
    }

    #[test]
    fn what_kiln_does_not_know_is_an_error_that_names_it() {
        assert_eq!(error("Conv3D", json!({})), "Kiln has no such layer");
        let dilated = json!({"filters": 1, "kernel_size": [3, 3], "dilation_rate": [2, 2]});
        assert_eq!(error("Conv2D", dilated), "dilation_rate: expected [1,1], found [2,2]");
        assert!(error("Conv2D", json!({"kernel_size": [3, 3]})).contains("missing field `filters`"));
        let unknown = error("Flatten", json!({"order": "C,H,W"}));
        assert_eq!(unknown, "order: Kiln does not know this argument, found \"C,H,W\"");
        let initializer = json!({"class_name": "HeNormal"});
        let he = error("Dense", json!({"units": 1, "kernel_initializer": initializer}));
        assert!(he.starts_with("expected an initializer (GlorotUniform, Ones, Zeros), found"), "{he}");
        assert!(error("Activation", json!({"activation": "gelu2"})).contains("found `gelu2`"));
    }
}
