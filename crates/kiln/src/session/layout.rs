//! The layout of a network's variables on the device: trainable ones in one flat buffer, the rest in another.

use std::ops::Range;

use kiln_graph::{Buffers, Graph, Pending, Tensor, TensorType};

use super::names::Persistent;
use crate::Result;
use crate::network::{Network, PlacedVariable};
use crate::weights::{self, Weight};

/// The alignment of a variable in the flat buffers, in floats: as WebGPU requires for the offset of a binding.
const ALIGN: usize = 256 / 4;
/// The block size for checking the values of a flat buffer, in bytes.
const BLOCK: u64 = 16 << 20;

/// The position of each of a network's variables.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    places: Vec<Place>,
    /// The lengths of both flat buffers, in floats: all variables and the gaps between them.
    trainable: usize,
    non_trainable: usize,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    trainable: bool,
    /// The offset of the variable in its flat buffer, in floats.
    start: usize,
}

impl Layout {
    pub fn new(network: &Network) -> Layout {
        let mut layout = Layout { places: Vec::new(), trainable: 0, non_trainable: 0 };
        for variable in &network.variables {
            let trainable = network.trains(variable);
            let end = if trainable { &mut layout.trainable } else { &mut layout.non_trainable };
            layout.places.push(Place { trainable, start: *end });
            *end = (*end + variable.shape.elements()).next_multiple_of(ALIGN);
        }
        layout
    }

    /// The length of the flat buffer of trainable variables, in floats.
    pub fn trainable_len(&self) -> usize {
        self.trainable
    }

    /// The offset of a trainable variable in its flat buffers, in bytes; `None` for other variables.
    pub fn offset(&self, variable: usize) -> Option<u64> {
        self.places.get(variable).filter(|place| place.trainable).map(|place| place.start as u64 * 4)
    }

    /// Creates both buffers.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn allocate(&self, buffers: &mut Buffers) -> Result<()> {
        Persistent::Trainable.make(buffers, self.trainable as u64 * 4)?;
        Persistent::NonTrainable.make(buffers, self.non_trainable as u64 * 4)?;
        Ok(())
    }

    /// All variables as tensors of a graph.
    pub fn tensors(&self, network: &Network, graph: &mut Graph) -> Vec<Tensor> {
        let mut tensor = |(variable, place): (&PlacedVariable, &Place)| {
            let flat = if place.trainable { Persistent::Trainable } else { Persistent::NonTrainable };
            flat.tensor(graph, TensorType::f32(variable.shape.clone()), place.start as u64 * 4)
        };
        network.variables.iter().zip(&self.places).map(&mut tensor).collect()
    }

    /// Starts to read the values of all variables. The future returns them concatenated.
    ///
    /// # Errors
    /// If the device is lost.
    pub fn read(
        &self,
        network: &Network,
        buffers: &Buffers,
    ) -> Result<impl Future<Output = Result<Vec<f32>>> + Send + use<>> {
        let flat = |flat: Persistent<'_>, length: usize| match flat.of(buffers) {
            Some(buffer) if length > 0 => buffer.read_async(0, length as u64 * 4).map(Some),
            _ => Ok(None),
        };
        let trainable = flat(Persistent::Trainable, self.trainable)?;
        let kept = flat(Persistent::NonTrainable, self.non_trainable)?;
        let ranges: Vec<(Place, Range<usize>)> = self.ranges(network).collect();
        let mut values = Vec::with_capacity(network.values());
        Ok(async move {
            let (trainable, kept) = (floats(trainable).await?, floats(kept).await?);
            for (place, range) in ranges {
                values.extend_from_slice(&if place.trainable { &trainable } else { &kept }[range]);
            }
            Ok(values)
        })
    }

    /// The name and value of the first non-finite variable in its flat buffer, if there is one. Reads block by block, so
    /// that a large network is never copied as a whole.
    ///
    /// # Errors
    /// If the device is lost.
    pub async fn non_finite(&self, network: &Network, buffers: &Buffers) -> Result<Option<(String, f64)>> {
        let flats =
            [(true, Persistent::Trainable, self.trainable), (false, Persistent::NonTrainable, self.non_trainable)];
        for (trainable, flat, length) in flats {
            let Some(buffer) = flat.of(buffers) else { continue };
            let bytes = length as u64 * 4;
            for first in (0..bytes).step_by(BLOCK as usize) {
                let values = floats(Some(buffer.read_async(first, BLOCK.min(bytes - first))?)).await?;
                let variable_at = |at: usize| {
                    let place = (first / 4) as usize + at;
                    let holds =
                        |(at, range): &(Place, Range<usize>)| at.trainable == trainable && range.contains(&place);
                    let mut variables = self.ranges(network).zip(&network.variables);
                    variables.find(|(range, _)| holds(range)).map(|(_, variable)| variable.name.clone())
                };
                let wrong = values.iter().enumerate().filter(|(_, value)| !value.is_finite());
                let found = wrong.filter_map(|(at, &value)| Some((variable_at(at)?, f64::from(value)))).next();
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        Ok(None)
    }

    /// Replaces the values of all variables by these concatenated ones.
    ///
    /// # Errors
    /// If the device is lost.
    pub fn write(&self, network: &Network, buffers: &Buffers, values: &[f32]) -> Result<()> {
        let (mut trainable, mut kept) = (vec![0.0; self.trainable], vec![0.0; self.non_trainable]);
        for ((place, range), variable) in self.ranges(network).zip(&network.variables) {
            let flat = if place.trainable { &mut trainable } else { &mut kept };
            flat[range].copy_from_slice(&values[variable.range()]);
        }
        for (flat, values) in [(Persistent::Trainable, trainable), (Persistent::NonTrainable, kept)] {
            if let (Some(buffer), false) = (flat.of(buffers), values.is_empty()) {
                buffer.write(0, bytemuck::cast_slice(&values))?;
            }
        }
        Ok(())
    }

    /// The values of a flat buffer of the optimizer, per trainable variable, named like the variable.
    pub fn unpack(&self, network: &Network, flat: &[f32]) -> Vec<Weight> {
        let weight = |(variable, range): (&PlacedVariable, Range<usize>)| Weight {
            name: variable.name.clone(),
            shape: variable.shape.clone(),
            values: flat[range].to_vec(),
        };
        self.trainable(network).map(weight).collect()
    }

    /// The flat buffer of each of these optimizer slots, from tensors named
    /// `{prefix}slot/layer/variable`.
    ///
    /// # Errors
    /// If the tensors do not match the slots exactly, with a list of all problems.
    pub fn pack_slots(
        &self,
        network: &Network,
        source: &str,
        prefix: &str,
        slots: &[String],
        given: &[Weight],
    ) -> Result<Vec<Vec<f32>>> {
        let named = |slot: &String, variable: &PlacedVariable| format!("{prefix}{slot}/{}", variable.name);
        let expected = slots.iter().flat_map(|slot| self.trainable(network).map(move |(v, range)| (slot, v, range)));
        let expected: Vec<_> = expected.collect();
        let shapes = expected.iter().map(|(slot, variable, _)| (named(slot, variable), &variable.shape));
        let found = weights::matched(&network.name, source, shapes, given)?;
        let mut flats = vec![vec![0.0; self.trainable]; slots.len()];
        let per_slot = self.trainable(network).count().max(1);
        for (i, ((_, _, range), weight)) in expected.into_iter().zip(found).enumerate() {
            flats[i / per_slot][range].copy_from_slice(&weight.values);
        }
        Ok(flats)
    }

    /// The trainable variables and their offsets in the flat buffers, in floats.
    fn trainable<'a>(&'a self, network: &'a Network) -> impl Iterator<Item = (&'a PlacedVariable, Range<usize>)> {
        let ranges = network.variables.iter().zip(self.ranges(network));
        ranges.filter(|(_, (place, _))| place.trainable).map(|(variable, (_, range))| (variable, range))
    }

    fn ranges<'a>(&'a self, network: &'a Network) -> impl Iterator<Item = (Place, Range<usize>)> + 'a {
        let range = |variable: &PlacedVariable, place: Place| place.start..place.start + variable.shape.elements();
        network.variables.iter().zip(&self.places).map(move |(variable, &place)| (place, range(variable, place)))
    }
}

/// The floats of a read, or none without a read.
pub(super) async fn floats(read: Option<Box<dyn Pending>>) -> Result<Vec<f32>> {
    match read {
        Some(read) => Ok(bytemuck::pod_collect_to_vec(&read.await?)),
        None => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use kiln_graph::Shape;

    use super::*;
    use crate::layers::{Conv2D, Dense, Flatten, Layer};
    use crate::network::ModelClass;

    fn network(trainable: bool) -> Network {
        let mut network = Network::new(ModelClass::Sequential, Shape::from([8, 8, 1]));
        network.push(Conv2D::new(2, [3, 3]).trainable(trainable));
        network.push(Flatten.into());
        network.push(Dense::new(3).into());
        network
    }

    #[test]
    fn variables_start_at_multiples_of_256_bytes() {
        let layout = Layout::new(&network(true));
        let offsets: Vec<Option<u64>> = (0..4).map(|variable| layout.offset(variable)).collect();
        assert_eq!(offsets, [Some(0), Some(256), Some(512), Some(1536)]);
        assert_eq!(layout.trainable_len() * 4, 1792);
    }

    #[test]
    fn what_is_frozen_lies_apart() {
        let network = network(false);
        let layout = Layout::new(&network);
        let offsets: Vec<Option<u64>> = (0..4).map(|variable| layout.offset(variable)).collect();
        assert_eq!(offsets, [None, None, Some(0), Some(1024)]);
        assert_eq!((layout.trainable_len() * 4, layout.non_trainable * 4), (1280, 512));
        let trained: Vec<&str> = layout.trainable(&network).map(|(variable, _)| &*variable.name).collect();
        assert_eq!(trained, ["dense/kernel", "dense/bias"]);
    }
}
