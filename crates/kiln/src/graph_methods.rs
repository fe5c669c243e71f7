//! The methods that the calls of layers, losses and metrics share: all append ops to a graph.

/// Declares them, for a struct with a field `graph`.
macro_rules! graph_methods {
    () => {
        /// The shape of a tensor, including the batch.
        pub fn shape(&self, tensor: kiln_graph::Tensor) -> &kiln_graph::Shape {
            self.graph.shape(tensor)
        }

        /// Applies an op with one output.
        ///
        /// # Errors
        /// If the op does not accept these inputs.
        pub fn add(
            &mut self,
            op: impl kiln_graph::Op + 'static,
            inputs: &[kiln_graph::Tensor],
        ) -> kiln_graph::Result<kiln_graph::Tensor> {
            self.graph.add(op, inputs)
        }

        /// Applies an op with any number of outputs.
        ///
        /// # Errors
        /// If the op does not accept these inputs.
        pub fn add_all(
            &mut self,
            op: impl kiln_graph::Op + 'static,
            inputs: &[kiln_graph::Tensor],
        ) -> kiln_graph::Result<Vec<kiln_graph::Tensor>> {
            self.graph.add_shared(std::sync::Arc::new(op), inputs)
        }

        /// A view with another shape, free of cost.
        ///
        /// # Errors
        /// If the number of elements differs.
        pub fn reshape(
            &mut self,
            tensor: kiln_graph::Tensor,
            shape: impl Into<kiln_graph::Shape>,
        ) -> kiln_graph::Result<kiln_graph::Tensor> {
            self.graph.reshape(tensor, shape)
        }
    };
}

pub(crate) use graph_methods;
