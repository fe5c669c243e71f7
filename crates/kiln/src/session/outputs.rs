//! The outputs of a batch, one after the other in one buffer.

use std::ops::Range;

use crate::network::Network;

/// The alignment of an output, in bytes: as WebGPU requires for the offset of a binding.
const ALIGN: u64 = 256;

/// The place of each output of a batch in the buffer of predictions.
pub(super) struct Outputs {
    /// In bytes.
    pub places: Vec<Range<u64>>,
    /// The length of the buffer, in bytes.
    pub bytes: u64,
}

impl Outputs {
    /// Of a batch of this many samples.
    pub fn of(network: &Network, batch: usize) -> Outputs {
        let (mut places, mut bytes) = (Vec::new(), 0u64);
        for shape in network.output_shapes() {
            let first = bytes.next_multiple_of(ALIGN);
            bytes = first + shape.elements() as u64 * batch as u64 * 4;
            places.push(first..bytes);
        }
        Outputs { places, bytes }
    }

    /// The values of each output, in the bytes of the buffer.
    pub fn values<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = Vec<f32>> + 'a {
        let part = |place: &Range<u64>| bytes.get(place.start as usize..place.end as usize).unwrap_or_default();
        self.places.iter().map(move |place| bytemuck::pod_collect_to_vec(part(place)))
    }
}
