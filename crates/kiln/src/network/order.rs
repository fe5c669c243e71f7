//! The order in which Keras counts the layers of a model.

use super::{Network, Node};

impl Network {
    /// The nodes as Keras orders a model's `layers`: those that are further from the output first, and of equally far ones
    /// that first which a walk from the output backwards, input by input, meets first
    /// (`keras/src/ops/function.py`, `map_graph`). For a chain that is the order in which they run.
    ///
    /// Layers that the output does not need, or not yet, come last. The input of a [`ModelClass::Sequential`] model is left
    /// out.
    ///
    /// [`ModelClass::Sequential`]: super::ModelClass::Sequential
    pub fn ordered(&self) -> Vec<Node> {
        let mut met = Vec::new();
        self.walk(self.output, &mut met);
        let mut distance = vec![0; self.layers.len() + 1]; // by node
        for (index, placed) in self.layers.iter().enumerate().rev() {
            for input in &placed.inputs {
                distance[input.index] = distance[input.index].max(distance[index + 1] + 1);
            }
        }
        met.sort_by_key(|node: &Node| std::cmp::Reverse(distance[node.index])); // stable
        let skipped = usize::from(self.class == super::ModelClass::Sequential);
        let all = (0..self.layers.len()).map(|index| self.output_of(index));
        let mut is_met = vec![false; self.layers.len() + 1]; // by node
        met.iter().for_each(|node| is_met[node.index] = true);
        let unmet: Vec<Node> = all.filter(|node| !is_met[node.index]).collect();
        met.into_iter().chain(unmet).filter(|node| node.index >= skipped).collect()
    }

    /// Appends a node and all that it needs, in the order in which they are met.
    fn walk(&self, from: Node, met: &mut Vec<Node>) {
        let mut seen = vec![false; self.layers.len() + 1]; // by node
        let mut open = vec![from];
        while let Some(node) = open.pop() {
            if std::mem::replace(&mut seen[node.index], true) {
                continue;
            }
            met.push(node);
            if let Some(index) = node.layer() {
                open.extend(self.layers[index].inputs.iter().rev());
            }
        }
    }
}
