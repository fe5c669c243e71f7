//! Detects other files in place of a model as JSON.

/// The problem and the advice, if the first bytes are those of another kind of file.
pub(super) fn instead_of_json(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
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
        assert!(instead_of_json(b"\x08\0\0\0\0\0\0\0{}").unwrap().contains("safetensors"));
        assert_eq!(instead_of_json(b"{\"class_name\": \"Sequential\"}"), None);
        assert_eq!(instead_of_json(b""), None);
    }
}
