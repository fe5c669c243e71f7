//! `gradients = partial + gradients`, or `partial = gradients`, or neither: one level of a binary tree of sums.

use kiln_graph::{Array, Error, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::accumulate as kernel;

/// Sums the gradients of a batch's shards in the order of a binary tree, which depends on their number alone: rewrites the
/// gradients of the shard and the partial sum of one level, flat and of one shape.
///
/// The levels count shards as a binary number does: before shard `k`, level `j` holds a sum of `2^j` shards if bit `j` of
/// `k` is set. Behind a shard's gradients, levels 0, 1, … follow each other. As a carry does, a shard adds the level's sum
/// to its gradients (`partial + gradients`) while levels hold one, and leaves what comes out at the first that does not.
/// The last shard adds the sums of all levels that hold one, so that the gradients are those of the whole batch.
#[derive(Clone, Copy, Debug)]
pub struct Accumulate {
    /// The level `j`.
    pub level: u32,
    /// Elements of each tensor.
    pub count: usize,
}

impl Accumulate {
    /// The number of levels for this many shards.
    pub fn levels(shards: usize) -> u32 {
        shards.max(1).next_power_of_two().trailing_zeros()
    }
}

impl Op for Accumulate {
    fn name(&self) -> &'static str {
        "accumulate"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [] if self.level < u32::BITS => Ok(vec![TensorType::f32([self.count]); 2]),
            _ => Err(Error::inputs(
                self.name(),
                "no tensor beside gradients and partial sum, and a level below 32",
                inputs,
            )),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Elements
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (gradients, partial) = (lowering.outputs()[0], lowering.outputs()[1]);
        let count = lowering.shape(gradients).elements();
        let params = kernel::Params { count: count as u32, level: self.level };
        lowering.push(kernel::Update { gradients, partial }.call(params, linear_workgroups(count, 256)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array> {
        let [gradients, partial] = [inputs[0], inputs[1]];
        let bit = |level: u32| step.shard >> level & 1 == 1;
        let is_last = step.shard + 1 >= step.shards;
        let all_below = (0..self.level).all(bit);
        let sum = || partial.data.iter().zip(&gradients.data).map(|(p, g)| p + g).collect();
        match (bit(self.level), is_last, all_below) {
            (true, true, _) | (true, false, true) => vec![Array::f32([self.count], sum()), partial.clone()],
            (false, false, true) => vec![gradients.clone(), gradients.clone()],
            _ => vec![gradients.clone(), partial.clone()],
        }
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shard, shards) in [(0, 0), (0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (3, 5), (5, 7), (6, 7), (7, 8), (7, 9)] {
        for level in 0..3 {
            for count in [1, 3, 257] {
                let op = Accumulate { level, count };
                let name = format!("accumulate of level {level} in shard {shard} of {shards} [{count}]");
                let old = vec![Array::random([count], 1), Array::random([count], 2)];
                let step = Step { shard, shards, ..Step::default() };
                cases.push(Case::new(name, op, vec![]).rewriting(old).at(step));
            }
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result after the last shard, where shard k is 2^k: the bits of a sum show which shards it contains.
    fn tree(shards: u32) -> f64 {
        let mut levels = vec![Array::f32([1], vec![0.0]); Accumulate::levels(shards as usize) as usize];
        let mut gradients = Array::f32([1], vec![0.0]);
        for shard in 0..shards {
            gradients = Array::f32([1], vec![f64::from(shard).exp2()]);
            let step = Step { shard, shards, ..Step::default() };
            for (level, partial) in (0..).zip(&mut levels) {
                let mut new = Accumulate { level, count: 1 }.reference(&[&gradients, partial], &step);
                *partial = new.remove(1);
                gradients = new.remove(0);
            }
        }
        gradients.data[0]
    }

    #[test]
    fn every_shard_is_in_the_sum_once() {
        for shards in 1..=32 {
            assert_eq!(tree(shards), f64::from(shards).exp2() - 1.0, "{shards} shards");
        }
    }

    #[test]
    fn a_tree_of_n_shards_has_as_many_levels_as_n_less_one_has_bits() {
        assert_eq!([0, 1, 2, 3, 4, 5, 8, 9, 32].map(Accumulate::levels), [0, 0, 1, 2, 2, 3, 3, 4, 5]);
    }
}
