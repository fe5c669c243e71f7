//! Layers as model files hold them: Keras' constructor arguments as JSON.

use std::sync::Arc;

use kiln_ops::Padding;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{
    Activation, Add, AveragePooling2D, BatchNormalization, Concatenate, Conv2D, Dense, Dropout, ELU, Flatten,
    GlobalAveragePooling2D, GlobalMaxPooling2D, Layer, LeakyReLU, MaxPooling2D, ReLU, Rescaling, Softmax,
    ZeroPadding2D,
};

/// A layer whose fields are named as Keras' constructor arguments.
pub(crate) trait Saved: Layer + Serialize + DeserializeOwned + 'static {
    /// Keras' name of the class.
    const CLASS_NAME: &'static str;

    /// What Keras 2 calls arguments that have another name in Keras 3, and that name.
    const OLD_NAMES: &'static [(&'static str, &'static str)] = &[];

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
        ELU::CLASS_NAME => read::<ELU>(config),
        Flatten::CLASS_NAME => read::<Flatten>(config),
        GlobalAveragePooling2D::CLASS_NAME => read::<GlobalAveragePooling2D>(config),
        GlobalMaxPooling2D::CLASS_NAME => read::<GlobalMaxPooling2D>(config),
        LeakyReLU::CLASS_NAME => read::<LeakyReLU>(config),
        MaxPooling2D::CLASS_NAME => read::<MaxPooling2D>(config),
        ReLU::CLASS_NAME => read::<ReLU>(config),
        Rescaling::CLASS_NAME => read::<Rescaling>(config),
        Softmax::CLASS_NAME => read::<Softmax>(config),
        ZeroPadding2D::CLASS_NAME => read::<ZeroPadding2D>(config),
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
    let new_name = |key: &String| {
        let renamed = L::OLD_NAMES.iter().find(|(old, _)| old == key);
        renamed.map_or_else(|| key.clone(), |(_, new)| (*new).to_owned())
    };
    let own = config.iter().filter(|(key, _)| !fixed.contains_key(*key));
    let own: Map<String, Value> = own.map(|(key, value)| (new_name(key), value.clone())).collect();
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
    use crate::layers::{Function, Initializer, Regularizer};

    fn read_back(layer: &dyn Layer) -> Arc<dyn Layer> {
        from_config(layer.class_name(), &layer.config()).unwrap()
    }

    fn error(class_name: &str, config: Value) -> String {
        from_config(class_name, config.as_object().unwrap()).unwrap_err()
    }

    #[test]
    fn every_layer_reads_what_it_writes() {
        let layers: [Box<dyn Layer>; 21] = [
            Box::new(crate::layers::Add::default()),
            Box::new(crate::layers::Concatenate::new()),
            Box::new(Activation::new(Function::LeakyRelu)),
            Box::new(AveragePooling2D::new([3, 1]).strides([1, 2]).padding(Padding::Same)),
            Box::new(BatchNormalization::new().momentum(0.9).epsilon(1e-5).scale(false)),
            Box::new(Conv2D::new(7, [1, 3]).strides([2, 1]).activation(Function::Swish).use_bias(false)),
            Box::new(Dense::new(3).activation(crate::layers::ActivationFunction::Softmax)),
            Box::new(
                Dense::new(3)
                    .kernel_initializer(Initializer::he_normal().seed(7))
                    .bias_regularizer(Regularizer::l1(0.5)),
            ),
            Box::new(Dropout::new(0.25)),
            Box::new(Flatten),
            Box::new(MaxPooling2D::new([2, 2])),
            Box::new(GlobalAveragePooling2D::new().keepdims(true)),
            Box::new(GlobalMaxPooling2D::new()),
            Box::new(ZeroPadding2D::new([[1, 2], [3, 4]])),
            Box::new(Rescaling::new(1.0 / 127.5).offset(-1.0)),
            Box::new(ReLU::new()),
            Box::new(ReLU::new().max_value(6.0).negative_slope(0.1).threshold(0.5)),
            Box::new(LeakyReLU::default()),
            Box::new(ELU::new(0.5)),
            Box::new(ELU::default()),
            Box::new(Softmax::new()),
        ];
        for layer in layers {
            assert_eq!(format!("{:?}", read_back(&*layer)), format!("{layer:?}"));
        }
    }

    /// What Keras 3.15 writes in `config` behind name, trainable and dtype.
    #[test]
    fn small_layers_are_written_as_keras_writes_them() {
        let check = |layer: &dyn Layer, keras: Value| {
            assert_eq!(Value::Object(layer.config()), keras, "{layer:?}");
            assert_eq!(format!("{:?}", read_back(layer)), format!("{layer:?}"));
        };
        let padding = json!({"padding": [[1, 1], [2, 2]], "data_format": "channels_last"});
        check(&ZeroPadding2D::new([1, 2]), padding);
        check(&GlobalAveragePooling2D::new(), json!({"data_format": "channels_last", "keepdims": false}));
        check(&Rescaling::new(1.0 / 255.0), json!({"scale": 0.00392156862745098, "offset": 0.0}));
        check(&ReLU::new(), json!({"max_value": null, "negative_slope": 0.0, "threshold": 0.0}));
        check(&LeakyReLU::default(), json!({"negative_slope": 0.3}));
        check(&ELU::default(), json!({"alpha": 1.0}));
        check(&Softmax::new(), json!({"axis": -1}));
    }

    #[test]
    fn what_keras_2_calls_otherwise_is_read() {
        let read = |class_name, config: Value| from_config(class_name, config.as_object().unwrap()).unwrap();
        let slope = read("LeakyReLU", json!({"alpha": 0.30000001192092896}));
        assert_eq!(slope.config()["negative_slope"], json!(0.30000001192092896));
        for (padding, sides) in [(json!(2), [[2, 2], [2, 2]]), (json!([1, 2]), [[1, 1], [2, 2]])] {
            assert_eq!(read("ZeroPadding2D", json!({"padding": padding})).config()["padding"], json!(sides));
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
        let initializer = json!({"class_name": "Xavier"});
        let xavier = error("Dense", json!({"units": 1, "kernel_initializer": initializer}));
        assert!(xavier.starts_with("expected an initializer (Zeros, Ones, "), "{xavier}");
        let padding = error("ZeroPadding2D", json!({"padding": [1, 2, 3]}));
        assert_eq!(padding, "expected a number, [rows, columns] or [[top, bottom], [left, right]]");
        assert!(error("Activation", json!({"activation": "gelu2"})).contains("found `gelu2`"));
    }
}
