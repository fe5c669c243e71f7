//! Keras' order of the layers of a model.

use super::{Network, Node};

impl Network {
    /// The nodes in Keras' order of a model's `layers`: by decreasing distance from the output; at equal distance, in the
    /// order of a backward traversal from the output, input by input
    /// (`keras/src/ops/function.py`, `map_graph`). For a sequence this is the execution order.
    ///
    /// Layers not connected to the output come last. The input of a [`ModelClass::Sequential`] model is left out.
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

    /// Appends a node and all nodes it depends on, in traversal order.
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
