//! Objects as Keras writes them into files: `{"module": …, "class_name": …, "config": {…}, "registered_name": …}`.
//!
//! A member that is not read may change what a model computes, so that none is read past: those that do not are listed
//! here, once, and all others are refused. A member that is null is one that was not set.

use serde_json::{Map, Value};

/// Members that change nothing of what a model computes.
const HARMLESS: [&str; 7] = [
    "keras_version",     // who wrote the file
    "backend",           // with what
    "compile_config",    // how the model was trained: `Model::compile` says how it is
    "build_config",      // the shapes that a layer was built for, which follow from the input's
    "build_input_shape", // the same, of a model
    "batch_input_shape", // what comes in, repeated by a layer behind the first
    "shared_object_id",  // a number for an object that several others hold
];

/// The members of every object.
const MEMBERS: [&str; 4] = ["module", "class_name", "config", "registered_name"];

/// Keras' packages of classes, as `module` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Package {
    Models,
    Layers,
    Ops,
    Initializers,
    Regularizers,
}

impl Package {
    fn names(self) -> &'static [&'static str] {
        match self {
            Package::Models => &["models", "engine", ""],
            Package::Layers => &["layers", "engine"],
            Package::Ops => &["ops"],
            Package::Initializers => &["initializers"],
            Package::Regularizers => &["regularizers"],
        }
    }

    /// Whether `module` is within this package: `keras.layers`, `keras.src.layers.core.dense`, `tf_keras.layers`.
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
    /// The class and the arguments of an object, whose other members are `known` to the caller or harmless.
    ///
    /// # Errors
    /// When it has no class, a custom one or one of another package, or a member that nobody knows.
    pub fn read(json: &'a Value, package: Package, known: &[&str]) -> Result<KerasObject<'a>, String> {
        let class = string(json, "class_name")?;
        own_class(json, class, package)?;
        check_members(json, &[&MEMBERS[..], known].concat())?;
        Ok(KerasObject { class, config: json.get("config").unwrap_or(&Value::Null) })
    }

    /// The class and the arguments of an object of somebody's own class, as [`KerasObject::read`].
    ///
    /// # Errors
    /// When it has no class, or a member that nobody knows.
    pub fn read_custom(json: &'a Value, known: &[&str]) -> Result<KerasObject<'a>, String> {
        let class = string(json, "class_name")?;
        check_members(json, &[&MEMBERS[..], known].concat())?;
        Ok(KerasObject { class, config: json.get("config").unwrap_or(&Value::Null) })
    }

    /// The arguments by name.
    ///
    /// # Errors
    /// When they are something else.
    pub fn arguments(&self) -> Result<Map<String, Value>, String> {
        match self.config {
            Value::Object(arguments) => Ok(arguments.clone()),
            Value::Null => Ok(Map::new()),
            found => Err(format!("config: expected the arguments of {} by name, found {}", self.class, shown(found))),
        }
    }
}

/// Whether an object's class is Keras' own: anybody may register another one of the same name.
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

/// Tests that an object has no members but these, harmless ones and such that are null.
///
/// # Errors
/// The first one, and its value.
pub(crate) fn check_members(json: &Value, known: &[&str]) -> Result<(), String> {
    match json.as_object().and_then(|members| first_unknown(members, known)) {
        Some((member, value)) => Err(unknown(member, value)),
        None => Ok(()),
    }
}

/// The first member that is not one of these, harmless or null.
pub(crate) fn first_unknown<'a>(members: &'a Map<String, Value>, known: &[&str]) -> Option<(&'a String, &'a Value)> {
    let passed = |member: &str| known.contains(&member) || HARMLESS.contains(&member);
    members.iter().find(|(member, value)| !value.is_null() && !passed(member))
}

/// What to say of a member that Kiln does not know.
pub(crate) fn unknown(member: &str, value: &Value) -> String {
    format!("{member}: Kiln does not know this argument, found {}", shown(value))
}

/// Tests that a layer or model computes with 32-bit floats. A policy is an object, or a name.
///
/// # Errors
/// When it computes with other numbers.
pub(crate) fn check_float32(json: &Value) -> Result<(), String> {
    let Some(dtype) = json.get("dtype").filter(|dtype| !dtype.is_null()) else { return Ok(()) };
    let found = dtype.pointer("/config/name").unwrap_or(dtype);
    if found == "float32" { Ok(()) } else { Err(format!("dtype: expected \"float32\", found {}", shown(found))) }
}

/// # Errors
/// When there is no such member or it is no string.
pub(crate) fn string<'a>(json: &'a Value, key: &str) -> Result<&'a str, String> {
    let found = json.get(key);
    found
        .and_then(Value::as_str)
        .ok_or_else(|| format!("expected a string `{key}`, found {}", found.map_or("none".to_owned(), shown)))
}

/// A value as JSON, cut where it is long.
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
        assert!(custom.starts_with("module: expected keras.layers or keras.engine, for Keras' own Dense"), "{custom}");
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
