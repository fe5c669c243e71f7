//! The blocks of a network, delimited by layers through which all paths pass.

use std::collections::HashMap;

use kiln::SummaryRow;

/// The block of each layer, by its name.
#[derive(Debug, Default)]
pub struct Blocks {
    of_layers: HashMap<String, String>,
}

impl Blocks {
    /// Finds the blocks of a network from its summary: a layer through which all paths pass ends a block and names it.
    /// In a chain, each layer is a block.
    pub fn new(rows: &[SummaryRow]) -> Blocks {
        let places: HashMap<&str, usize> = rows.iter().enumerate().map(|(at, row)| (row.name.as_str(), at)).collect();
        // The last consumer of each layer's output.
        let mut reach: Vec<usize> = (0..rows.len()).collect();
        for (at, row) in rows.iter().enumerate() {
            for from in row.connected_to.iter().filter_map(|connection| places.get(connection.layer.as_str())) {
                reach[*from] = reach[*from].max(at);
            }
        }
        let mut of_layers = HashMap::new();
        let (mut first, mut open) = (0, 0);
        for at in 0..rows.len() {
            // No path bypasses this layer.
            if open <= at {
                let block = &rows[at].name;
                of_layers.extend(rows[first..=at].iter().map(|row| (row.name.clone(), block.clone())));
                first = at + 1;
            }
            open = open.max(reach[at]);
        }
        Blocks { of_layers }
    }

    /// The block of a scope: that of its layer, or the scope itself if it is not a layer.
    pub fn of<'a>(&'a self, scope: &'a str) -> &'a str {
        let layer = scope.split('/').next().unwrap_or(scope);
        self.of_layers.get(layer).map_or(scope, String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use kiln::models::{self, Top};

    use super::*;

    #[test]
    fn a_block_of_inception_ends_where_its_branches_meet() {
        let model = models::inception_v3([299, 299, 3], Top::Classes(1000));
        let blocks = Blocks::new(&model.summary().rows);
        let names: Vec<String> = (0..=10).map(|number| format!("mixed{number}")).collect();
        for name in &names {
            assert_eq!(blocks.of(name), name);
        }
        let mut sizes: HashMap<&str, usize> = HashMap::new();
        blocks.of_layers.values().for_each(|block| *sizes.entry(block.as_str()).or_default() += 1);
        assert_eq!((sizes["mixed0"], sizes["mixed8"], sizes["conv2d"]), (23, 20, 1));
        assert_eq!(blocks.of("mixed5/kernel"), "mixed5");
        assert_eq!(blocks.of("adam"), "adam");
    }

    #[test]
    fn each_layer_of_a_chain_is_a_block() {
        let model = models::lenet([28, 28, 1], 10);
        let blocks = Blocks::new(&model.summary().rows);
        assert!(blocks.of_layers.iter().all(|(layer, block)| layer == block), "{blocks:?}");
    }
}
