//! Limits for files whose messages would need far more memory than the file has bytes.

/// The most fields of all messages. EfficientNetB7 has some ten thousand.
const MOST_FIELDS: usize = 1 << 20;
/// The most messages within each other.
const MOST_LEVELS: usize = 16;

/// Wire types of fields.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// The messages whose fields are counted.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    /// An input or output.
    Value,
    Type,
    TensorType,
    Shape,
    /// A message without others.
    Other,
}

impl Kind {
    /// The message in a field.
    fn within(self, field: u64) -> Option<Kind> {
        match (self, field) {
            (Kind::Model, 7) => Some(Kind::Graph),
            (Kind::Graph, 1) => Some(Kind::Node),
            (Kind::Node, 5) => Some(Kind::Attribute),
            (Kind::Attribute, 6) => Some(Kind::Graph),
            (Kind::Model, 8) | (Kind::Shape, 1) => Some(Kind::Other),
            (Kind::Graph, 5) | (Kind::Attribute, 5) => Some(Kind::Tensor),
            (Kind::Graph, 11 | 12) => Some(Kind::Value),
            (Kind::Value, 2) => Some(Kind::Type),
            (Kind::Type, 1) => Some(Kind::TensorType),
            (Kind::TensorType, 2) => Some(Kind::Shape),
            _ => None,
        }
    }

    /// Whether a field has whole numbers of one byte or more, which are 8 bytes when they are decoded.
    fn is_packed(self, field: u64) -> bool {
        matches!((self, field), (Kind::Tensor, 1 | 5 | 7) | (Kind::Attribute, 8))
    }
}

/// The fields of messages and within them.
#[derive(Default)]
struct Count {
    fields: usize,
    /// The bytes of lists of whole numbers.
    packed: u64,
}

/// The most bytes that decoding needs for lists of whole numbers, beyond those of the file.
///
/// # Errors
/// If the bytes are no messages, or those of too many fields.
pub(super) fn check(bytes: &[u8]) -> Result<u64, String> {
    let mut found = Count::default();
    count(bytes, Kind::Model, MOST_LEVELS, &mut found)?;
    Ok(found.packed.saturating_mul(8))
}

fn count(mut bytes: &[u8], kind: Kind, levels: usize, found: &mut Count) -> Result<(), String> {
    let damaged = || "expected an ONNX file, found damaged contents".to_owned();
    if levels == 0 {
        return Err(format!("expected at most {MOST_LEVELS} messages within each other, found more"));
    }
    while !bytes.is_empty() {
        found.fields += 1;
        if found.fields > MOST_FIELDS {
            return Err(format!("expected at most {MOST_FIELDS} fields of nodes, tensors and attributes, found more"));
        }
        let key = varint(&mut bytes).ok_or_else(damaged)?;
        let length = match key & 7 {
            VARINT => varint(&mut bytes).map(|_| 0),
            FIXED64 => Some(8),
            FIXED32 => Some(4),
            BYTES => varint(&mut bytes).and_then(|length| usize::try_from(length).ok()),
            _ => None,
        };
        let (value, rest) = length.and_then(|length| bytes.split_at_checked(length)).ok_or_else(damaged)?;
        bytes = rest;
        if kind.is_packed(key >> 3) {
            found.packed += value.len() as u64;
        }
        if let Some(kind) = kind.within(key >> 3).filter(|_| key & 7 == BYTES) {
            count(value, kind, levels - 1, found)?;
        }
    }
    Ok(())
}

/// A number of seven bits per byte, lowest first; the highest bit is set if more bytes follow.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn damaged_contents_are_refused() {
        assert_eq!(check(&[0x08, 0x08]), Ok(0));
        for damaged in [&[0x08][..], &[0x3a, 2, 0], &[0xff; 12], &[0x3a, 0xff, 0xff, 0xff, 0xff, 0x7f, 0], &[0x0b]] {
            assert_eq!(check(damaged).unwrap_err(), "expected an ONNX file, found damaged contents");
        }
    }

    /// A field of this number with a message.
    fn field(number: u8, message: Vec<u8>) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2];
        let mut length = message.len();
        while length >= 0x80 {
            bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend(message);
        bytes
    }

    #[test]
    fn many_small_messages_are_refused() {
        let nodes = field(7, [0x0a, 0].repeat(MOST_FIELDS));
        // Extents of an input's shape.
        let extents = [2, 1, 2, 11, 7].into_iter().fold([0x0a, 0].repeat(MOST_FIELDS), |x, number| field(number, x));
        for model in [nodes, extents] {
            assert!(check(&model).unwrap_err().starts_with("expected at most 1048576 fields"));
        }
    }

    #[test]
    fn small_numbers_count_as_large_ones() {
        let tensor = field(7, vec![1; 1000]);
        assert_eq!(check(&field(7, field(5, tensor))), Ok(8000));
    }

    #[test]
    fn graphs_within_each_other_are_refused() {
        // A model of a graph of a node with an attribute that is a graph.
        let mut graph = Vec::new();
        for _ in 0..8 {
            for field in [6, 5, 1] {
                graph.splice(0..0, [field << 3 | 2, graph.len() as u8]);
            }
        }
        graph.splice(0..0, [7 << 3 | 2, graph.len() as u8]);
        assert!(check(&graph).unwrap_err().starts_with("expected at most 16 messages within each other"));
    }
}
