//! Dead node elimination and fusion: unused nodes are removed, and ops are fused with their successors
//! ([`Op::fuse`](crate::Op::fuse)), which saves passes over memory.

use crate::{Graph, Node, Storage, Tensor};

/// The needed nodes in a valid order, fused where possible.
pub(crate) fn fused_nodes(graph: &Graph) -> Vec<Node> {
    let needed = needed_nodes(graph);
    let mut uses = vec![0; graph.tensor_count()];
    for &input in needed.iter().flat_map(|node| &node.inputs) {
        uses[graph.base(input).index()] += 1;
    }
    let mut nodes: Vec<Option<Node>> = Vec::new();
    // For each planned tensor, the index of the node that computes it as its first output.
    let mut producers: Vec<Option<usize>> = vec![None; graph.tensor_count()];
    for node in needed {
        let join = |at: usize| {
            let place = producers[node.inputs[at].index()]?;
            let first = nodes[place].as_ref().filter(|_| uses[node.inputs[at].index()] == 1)?;
            let joined = joined(first, node, at)?;
            // A successor without other inputs can run as early as its predecessor; otherwise both run at the
            // successor's position.
            let early = node.inputs.len() == 1;
            (early || (first.outputs.len() == 1 && stays(graph, &nodes, place))).then_some((place, early, joined))
        };
        let place = match (0..node.inputs.len()).filter(|_| !node.updates).find_map(join) {
            Some((place, true, joined)) => {
                nodes[place] = Some(joined);
                place
            }
            Some((place, false, joined)) => {
                nodes[place] = None;
                nodes.push(Some(joined));
                nodes.len() - 1
            }
            None => {
                nodes.push(Some(node.clone()));
                nodes.len() - 1
            }
        };
        // The intermediate tensor of fused nodes no longer exists.
        if let Some(&first) = node.outputs.first().filter(|&&first| !node.updates && graph.is_planned(first)) {
            producers[first.index()] = Some(place);
        }
    }
    nodes.into_iter().flatten().collect()
}

/// A node is needed if it updates tensors, has a persistent output, or a needed node uses an output.
fn needed_nodes(graph: &Graph) -> Vec<&Node> {
    let mut taken = vec![false; graph.tensor_count()];
    let mut needed = Vec::new();
    for node in graph.nodes().iter().rev() {
        let kept =
            |&output: &Tensor| taken[output.index()] || matches!(graph.storage(output), Storage::Persistent { .. });
        if node.updates || node.outputs.iter().any(kept) {
            needed.push(node);
            for &input in &node.inputs {
                taken[graph.base(input).index()] = true;
            }
        }
    }
    needed.reverse();
    needed
}

/// Fuses two nodes: the inputs are those of the first, then the other inputs of the second; the outputs those of the
/// second, then the other outputs of the first.
fn joined(first: &Node, second: &Node, at: usize) -> Option<Node> {
    let op = first.op.fuse(&*second.op, at).filter(|_| first.precision == second.precision)?;
    let others = second.inputs.iter().enumerate().filter(|(input, _)| *input != at).map(|(_, &tensor)| tensor);
    let inputs = first.inputs.iter().copied().chain(others).collect();
    let outputs = second.outputs.iter().chain(first.outputs.iter().skip(1)).copied().collect();
    Some(Node { op, inputs, outputs, updates: false, scope: first.scope.clone(), precision: first.precision })
}

/// Whether the node at this index can be moved to the end: none of its inputs is written after it.
fn stays(graph: &Graph, nodes: &[Option<Node>], place: usize) -> bool {
    let range = |tensor: Tensor| match graph.storage(tensor) {
        Storage::Persistent { buffer, offset } => Some((buffer, offset..offset + graph.ty(tensor).bytes())),
        _ => None,
    };
    let overlap = |(a, x): &(_, std::ops::Range<u64>), (b, y): &(_, std::ops::Range<u64>)| {
        a == b && x.start < y.end && y.start < x.end
    };
    let taken: Vec<_> = nodes[place].iter().flat_map(|node| &node.inputs).filter_map(|&input| range(input)).collect();
    let written =
        nodes[place + 1..].iter().flatten().flat_map(|node| &node.outputs).filter_map(|&output| range(output));
    !written.into_iter().any(|written| taken.iter().any(|taken| overlap(taken, &written)))
}
