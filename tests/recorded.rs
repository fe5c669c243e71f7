//! Recordings of other programs: tensors named `CASE.NAME` and the list of cases, in a file of `fixtures/`.

use std::path::Path;

use kiln::graph::{Array, DType, TensorType};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// A file of recorded cases.
pub struct Recorded {
    bytes: Vec<u8>,
}

impl Recorded {
    /// The cases of `fixtures/NAME.safetensors`.
    pub fn open(name: &str) -> Recorded {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.safetensors"));
        Recorded { bytes: std::fs::read(path).unwrap() }
    }

    /// The description of each case.
    pub fn cases(&self) -> Vec<Value> {
        let (_, metadata) = SafeTensors::read_metadata(&self.bytes).unwrap();
        serde_json::from_str(&metadata.metadata().as_ref().unwrap()["cases"]).unwrap()
    }

    /// The tensor of a case with this name, if any.
    pub fn get(&self, case: usize, name: &str) -> Option<Array> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = tensors.tensor(&format!("{case}.{name}")).ok()?;
        let dtype = if tensor.dtype() == Dtype::I32 { DType::U32 } else { DType::F32 };
        Some(Array::from_bytes(TensorType::new(tensor.shape(), dtype), tensor.data()))
    }
}
