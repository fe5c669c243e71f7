//! Detects other files in place of a model as JSON.

/// The problem and the advice, if the first bytes are those of another kind of file.
pub(super) fn instead_of_json(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [b'P', b'K', 3 | 5 | 7, ..] => Some(
            "expected a model as JSON, found an archive, as Keras' `.keras` files are; in Keras, write the network with \
             `open(\"model.json\", \"w\").write(model.to_json())` and its weights with \
             `model.save_weights(\"model.weights.h5\")`, and load both",
        ),
        [0x89, b'H', b'D', b'F', ..] => Some(
            "expected a model as JSON, found an HDF5 file; its weights can be loaded into the network that \
             `open(\"model.json\", \"w\").write(model.to_json())` writes in Keras",
        ),
        // The length of a JSON header, and its first byte.
        [_, _, _, _, _, 0, 0, 0, b'{', ..] => Some(
            "expected a model as JSON, found a safetensors file; its weights can be loaded into the network of a \
             model.json",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn files_of_other_kinds_are_told_by_their_first_bytes() {
        let archive = instead_of_json(b"PK\x03\x04rest").unwrap();
        assert!(archive.contains("`.keras`") && archive.contains("model.to_json()"), "{archive}");
        assert!(instead_of_json(b"\x89HDF\r\n\x1a\n").unwrap().contains("HDF5"));
        assert!(instead_of_json(b"\x08\0\0\0\0\0\0\0{}").unwrap().contains("safetensors"));
        assert_eq!(instead_of_json(b"{\"class_name\": \"Sequential\"}"), None);
        assert_eq!(instead_of_json(b""), None);
    }
}
