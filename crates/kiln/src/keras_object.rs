//! Objects in Keras' files: `{"module": …, "class_name": …, "config": {…}, "registered_name": …}`.
//!
//! An ignored member could change a model's results, so only the harmless members listed here are ignored, and all
//! other unknown members are refused. A null member is not set.

use serde_json::{Map, Value};

/// Members that do not affect a model's results.
const HARMLESS: [&str; 7] = [
    "keras_version",     // the version that wrote the file
    "backend",           // its backend
    "compile_config",    // how the model was trained; `Model::compile` replaces it
    "build_config",      // the shapes that a layer was built for, which follow from the input
    "build_input_shape", // the same, of a model
    "batch_input_shape", // the input's shape, repeated by a layer after the first
    "shared_object_id",  // the number of an object shared by several others
];

/// The members of every object.
const MEMBERS: [&str; 4] = ["module", "class_name", "config", "registered_name"];

/// Keras' packages of classes, in `module`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Package {
    Models,
    Layers,
    Ops,
    Initializers,
    Regularizers,
    Constraints,
}

impl Package {
    fn names(self) -> &'static [&'static str] {
        match self {
            Package::Models => &["models", "engine", ""],
            Package::Layers => &["layers", "engine", "applications"],
            Package::Ops => &["ops"],
            Package::Initializers => &["initializers"],
            Package::Regularizers => &["regularizers"],
            Package::Constraints => &["constraints"],
        }
    }

    /// Whether `module` is in this package: `keras.layers`, `keras.src.layers.core.dense`, `tf_keras.layers`.
    pub fn holds(self, module: &str) -> bool {
        let keras = ["keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras"];
        let within = keras.iter().filter_map(|keras| module.strip_prefix(keras));
        let mut paths = within.filter(|path| path.is_empty() || path.starts_with('.'));
        paths.any(|path| {
            let path = path.trim_start_matches('.');
            let path = path.strip_prefix("src.").unwrap_or(path);
            self.names().contains(&path.split('.').next().unwrap_or_default())
        })
    }
}

/// An object of one of Keras' own classes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KerasObject<'a> {
    pub class: &'a str,
    pub config: &'a Value,
}

impl<'a> KerasObject<'a> {
    /// Reads the class and the arguments of an object, whose other members must be `known` to the caller or harmless.
    ///
    /// # Errors
    /// If it has no class, a custom class or one of another package, or an unknown member.
    pub fn read(json: &'a Value, package: Package, known: &[&str]) -> Result<KerasObject<'a>, String> {
        let class = string(json, "class_name")?;
        own_class(json, class, package)?;
        check_members(json, &[&MEMBERS[..], known].concat())?;
        Ok(KerasObject { class, config: json.get("config").unwrap_or(&Value::Null) })
    }

    /// As [`KerasObject::read`], for an object of a custom class.
    ///
    /// # Errors
    /// If it has no class, or an unknown member.
    pub fn read_custom(json: &'a Value, known: &[&str]) -> Result<KerasObject<'a>, String> {
        let class = string(json, "class_name")?;
        check_members(json, &[&MEMBERS[..], known].concat())?;
        Ok(KerasObject { class, config: json.get("config").unwrap_or(&Value::Null) })
    }

    /// The arguments by name.
    ///
    /// # Errors
    /// If they are not an object.
    pub fn arguments(&self) -> Result<Map<String, Value>, String> {
        match self.config {
            Value::Object(arguments) => Ok(arguments.clone()),
            Value::Null => Ok(Map::new()),
            found => Err(format!("config: expected the arguments of {} by name, found {}", self.class, shown(found))),
        }
    }
}

/// Checks that an object's class is Keras' own, as custom classes may have the same name.
fn own_class(json: &Value, class: &str, package: Package) -> Result<(), String> {
    let registered = json.get("registered_name").unwrap_or(&Value::Null);
    if !registered.is_null() && registered != class {
        return Err(format!(
            "registered_name: expected null, for Keras' own {class}, found {registered}; Kiln has no custom classes"
        ));
    }
    match json.get("module").unwrap_or(&Value::Null) {
        Value::Null => Ok(()),
        Value::String(module) if package.holds(module) => Ok(()),
        found => {
            let expected: Vec<String> = package.names().iter().map(|name| format!("keras.{name}")).collect();
            let expected = expected.join(" or ");
            Err(format!(
                "module: expected {expected}, for Keras' own {class}, found {found}; Kiln has no custom classes"
            ))
        }
    }
}

/// Checks that all members of an object are known, harmless or null.
///
/// # Errors
/// The first other member, and its value.
pub(crate) fn check_members(json: &Value, known: &[&str]) -> Result<(), String> {
    match json.as_object().and_then(|members| first_unknown(members, known)) {
        Some((member, value)) => Err(unknown(member, value)),
        None => Ok(()),
    }
}

/// The first member that is not known, harmless or null.
pub(crate) fn first_unknown<'a>(members: &'a Map<String, Value>, known: &[&str]) -> Option<(&'a String, &'a Value)> {
    let passed = |member: &str| known.contains(&member) || HARMLESS.contains(&member);
    members.iter().find(|(member, value)| !value.is_null() && !passed(member))
}

/// The error message for an unknown member.
pub(crate) fn unknown(member: &str, value: &Value) -> String {
    format!("{member}: Kiln does not know this argument, found {}", shown(value))
}

/// Checks that a layer or model computes in 32-bit floats. A dtype policy is an object or a name.
///
/// # Errors
/// If it has another dtype.
pub(crate) fn check_float32(json: &Value) -> Result<(), String> {
    let Some(dtype) = json.get("dtype").filter(|dtype| !dtype.is_null()) else { return Ok(()) };
    let found = dtype.pointer("/config/name").unwrap_or(dtype);
    if found == "float32" { Ok(()) } else { Err(format!("dtype: expected \"float32\", found {}", shown(found))) }
}

/// # Errors
/// If there is no such member or it is not a string.
pub(crate) fn string<'a>(json: &'a Value, key: &str) -> Result<&'a str, String> {
    let found = json.get(key);
    found
        .and_then(Value::as_str)
        .ok_or_else(|| format!("expected a string `{key}`, found {}", found.map_or("none".to_owned(), shown)))
}

/// A value as JSON, truncated if long.
pub(crate) fn shown(value: &Value) -> String {
    const MOST: usize = 200;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use serde_json::json;

    use super::*;

    #[test]
    fn packages_are_found_by_every_name_that_keras_has_had() {
        for module in ["keras.layers", "keras.src.layers.core.dense", "tf_keras.layers", "tensorflow.keras.layers"] {
            assert!(Package::Layers.holds(module), "{module}");
        }
        for module in ["keras", "keras.src.models.functional", "keras.models"] {
            assert!(Package::Models.holds(module), "{module}");
        }
        for module in ["keras_cv.layers", "__main__", "mine.layers", "keras.src.ops.numpy", "layers", ""] {
            assert!(!Package::Layers.holds(module), "{module}");
        }
    }

    #[test]
    fn classes_of_somebodys_own_are_refused_whatever_they_are_called() {
        let read = |module: Value, registered: Value| {
            let json = json!({"module": module, "class_name": "Dense", "config": {}, "registered_name": registered});
            KerasObject::read(&json, Package::Layers, &[]).map(|object| object.class.to_owned())
        };
        assert_eq!(read(json!("keras.layers"), json!(null)), Ok("Dense".to_owned()));
        assert_eq!(read(json!(null), json!("Dense")), Ok("Dense".to_owned()));
        let custom = read(json!(null), json!("mine>Dense")).unwrap_err();
        assert_eq!(
            custom,
            "registered_name: expected null, for Keras' own Dense, found \"mine>Dense\"; Kiln has no custom classes"
        );
        let custom = read(json!("__main__"), json!("Dense")).unwrap_err();
        assert!(
            custom.starts_with(
                "module: expected keras.layers or keras.engine or keras.applications, for Keras' own Dense"
            ),
            "{custom}"
        );
    }

    #[test]
    fn members_that_nobody_knows_are_named_and_cut() {
        let json = json!({"class_name": "Dense", "build_config": {}, "extra": null, "wings": "w".repeat(300)});
        let error = KerasObject::read(&json, Package::Layers, &[]).unwrap_err();
        assert!(error.starts_with("wings: Kiln does not know this argument, found \"www"), "{error}");
        assert!(error.chars().count() < 260 && error.ends_with('…'), "{error}");
        assert!(KerasObject::read(&json, Package::Layers, &["wings"]).is_ok());
    }
}
