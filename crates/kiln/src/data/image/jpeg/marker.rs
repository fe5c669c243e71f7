//! A file's markers and their segments.

use super::Problem;

/// The kinds of markers.
pub(super) enum Marker {
    /// The application segment of this number.
    App(u8),
    Quantization,
    Huffman,
    RestartInterval,
    Frame {
        progressive: bool,
    },
    Scan,
    End,
    /// An ignored segment.
    Other,
    /// An unsupported coding.
    Unsupported(&'static str),
}

/// An iterator over the segments of a file.
pub(super) struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    /// The segments after the start marker.
    pub fn new(bytes: &'a [u8]) -> Segments<'a> {
        Segments { bytes, at: 2 }
    }

    /// The next marker and its segment. Skips bytes between segments, as libjpeg.
    pub fn next(&mut self) -> Result<(Marker, &'a [u8]), Problem> {
        let rest = self.rest();
        let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff);
        let start = rest.windows(2).position(is_marker).ok_or(Problem::CutShort)?;
        let code = rest[start + 1];
        self.at += start + 2;
        let marker = match code {
            0xd9 => return Ok((Marker::End, &[])),
            0x01 | 0xd0..=0xd8 => return Ok((Marker::Other, &[])), // without a segment
            0xc0 | 0xc1 => Marker::Frame { progressive: false },
            0xc2 => Marker::Frame { progressive: true },
            0xc4 => Marker::Huffman,
            0xda => Marker::Scan,
            0xdb => Marker::Quantization,
            0xdd => Marker::RestartInterval,
            0xe0..=0xef => Marker::App(code - 0xe0),
            0xc3 | 0xc7 | 0xcb | 0xcf => Marker::Unsupported("lossless coding"),
            0xc9 | 0xca | 0xcc | 0xcd | 0xce => Marker::Unsupported("arithmetic coding"),
            0xc5 | 0xc6 => Marker::Unsupported("hierarchical coding"),
            _ => Marker::Other,
        };
        // The length includes itself.
        let rest = self.rest();
        let length = rest.first_chunk().map(|&length| usize::from(u16::from_be_bytes(length)));
        let body = rest.get(2..length.ok_or(Problem::CutShort)?).ok_or(Problem::CutShort)?;
        self.at += 2 + body.len();
        Ok((marker, body))
    }

    /// The bytes after the last segment.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Skips the bytes of a scan.
    pub fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }
}
