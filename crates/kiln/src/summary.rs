//! The table of a model's layers, in the format of Keras 3.

use std::fmt;

use crate::network::{Member, MemberCall, ModelClass, Network, Node, Output, Scope};

/// The widths of the columns in characters, for a chain and for other graphs: Keras' for a terminal of 80 columns.
const CHAIN: [usize; 3] = [31, 22, 13];
const GRAPH: [usize; 4] = [19, 17, 10, 17];

/// A model's layers, their output shapes and numbers of parameters. Formats as Keras' table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The model's name.
    pub name: String,
    /// One row per layer, in Keras' order, including the input unless the model is a [`Sequential`](crate::Sequential). A
    /// [nested model](crate::Model::apply_model) is one layer.
    pub rows: Vec<SummaryRow>,
    /// Whether the only input of each layer is the previous one.
    pub chain: bool,
    /// The reason why the model cannot be built, if any.
    pub problem: Option<String>,
}

/// A layer in a [`Summary`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryRow {
    /// The layer's name.
    pub name: String,
    /// The layer's class.
    pub class_name: &'static str,
    /// The shape of each output of one sample: one, but for nested models; none from the first invalid layer on.
    pub output_shapes: Vec<Vec<usize>>,
    /// The number of the layer's parameters.
    pub parameters: usize,
    /// The number of trainable parameters.
    pub trainable_parameters: usize,
    /// The outputs it is connected to, in all of its calls.
    pub connected_to: Vec<Connection>,
}

/// An output that a layer is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The name of the layer.
    pub layer: String,
    /// The index of the layer's call; 0 unless it is shared.
    pub call: usize,
    /// The index of the output; 0 but for nested models.
    pub output: usize,
}

/// `dense[0][0]`, as in Keras.
impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}][{}]", self.layer, self.call, self.output)
    }
}

/// The connection to the first call of a layer.
fn first_call(layer: &str) -> Connection {
    Connection { layer: layer.to_owned(), call: 0, output: 0 }
}

impl Summary {
    pub(crate) fn new(network: &Network) -> Summary {
        let problem = network.broken().map(ToString::to_string);
        let name = network.name.clone();
        if problem.is_some() {
            let nodes: Vec<Node> = (0..network.layers.len()).map(|index| network.output_of(index)).collect();
            let rows = (0..network.layers.len()).map(|index| broken_row(network, index)).collect();
            return Summary {
                name,
                rows,
                chain: network.class == ModelClass::Sequential || chain(network, &nodes),
                problem,
            };
        }
        let mut scope = network.scope(None);
        let is_sequential = network.class == ModelClass::Sequential;
        scope.members.retain(|&member| !matches!(member, Member::Input(_)) || !is_sequential);
        let calls = scope.calls_of();
        let rows: Vec<SummaryRow> =
            scope.members.iter().map(|&member| row(network, &scope, member, &calls[&member])).collect();
        let follows = |pair: &[SummaryRow]| matches!(&pair[1].connected_to[..], [only] if only.layer == pair[0].name);
        let chain = is_sequential || rows.windows(2).all(follows);
        Summary { name, rows, chain, problem }
    }

    /// The number of parameters of all layers.
    pub fn parameters(&self) -> usize {
        self.rows.iter().map(|row| row.parameters).sum()
    }

    /// The number of trainable parameters.
    pub fn trainable_parameters(&self) -> usize {
        self.rows.iter().map(|row| row.trainable_parameters).sum()
    }
}

/// Whether each node is connected to the one before it only.
fn chain(network: &Network, nodes: &[Node]) -> bool {
    nodes.windows(2).all(|pair| pair[1].layer().is_some_and(|index| network.layers[index].inputs == pair[..1]))
}

/// The row of a member with these calls.
fn row(network: &Network, scope: &Scope, member: Member, calls: &[&MemberCall]) -> SummaryRow {
    let inputs = || calls.iter().flat_map(|call| &call.inputs);
    let connection = |input: &Output| {
        let MemberCall { member, number, .. } = scope.calls[input.call];
        Connection { layer: network.member_name(None, member).to_owned(), call: number, output: input.index }
    };
    let outputs = calls.first().map(|call| &call.outputs[..]).unwrap_or_default();
    let output_shapes: Option<Vec<Vec<usize>>> =
        outputs.iter().map(|&output| network.shape(output).map(|shape| shape.to_vec())).collect();
    let layers = network.layers_of(member);
    let (parameters, trainable_parameters) = parameters(network, &layers);
    SummaryRow {
        name: network.member_name(None, member).to_owned(),
        class_name: network.member_class(member),
        output_shapes: output_shapes.unwrap_or_default(),
        parameters,
        trainable_parameters,
        connected_to: inputs().map(connection).collect(),
    }
}

/// The row of a layer's call, in a model that cannot be built.
fn broken_row(network: &Network, index: usize) -> SummaryRow {
    let placed = &network.layers[index];
    let (parameters, trainable_parameters) = parameters(network, &[index]);
    SummaryRow {
        name: placed.name.clone(),
        class_name: placed.layer.class_name(),
        output_shapes: placed.shapes.iter().map(|(_, output)| output.to_vec()).collect(),
        parameters,
        trainable_parameters,
        connected_to: placed.inputs.iter().map(|&input| first_call(network.name_of(input))).collect(),
    }
}

/// The numbers of parameters of layers: all, and trainable ones.
fn parameters(network: &Network, layers: &[usize]) -> (usize, usize) {
    let variables = || layers.iter().flat_map(|&layer| &network.variables[network.layers[layer].variables.clone()]);
    let trained = variables().filter(|variable| network.trains(variable));
    let all = variables().map(|variable| variable.shape.elements()).sum();
    (all, trained.map(|variable| variable.shape.elements()).sum())
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: &[usize] = if self.chain { &CHAIN } else { &GRAPH };
        let rule = |left, line: &str, middle: &str, right| {
            let columns: Vec<String> = widths.iter().map(|width| line.repeat(width + 2)).collect();
            format!("{left}{}{right}", columns.join(middle))
        };
        writeln!(f, "Model: \"{}\"", self.name)?;
        writeln!(f, "{}", rule('┏', "━", "┳", '┓'))?;
        write_row(f, '┃', widths, ["Layer (type)", "Output Shape", "Param #", "Connected to"])?;
        writeln!(f, "{}", rule('┡', "━", "╇", '┩'))?;
        for (i, row) in self.rows.iter().enumerate() {
            if i > 0 {
                writeln!(f, "{}", rule('├', "─", "┼", '┤'))?;
            }
            let shown = |shape: &Vec<usize>| {
                format!("(None{})", shape.iter().map(|extent| format!(", {extent}")).collect::<String>())
            };
            let shapes: Vec<String> = row.output_shapes.iter().map(shown).collect();
            let shape = match &shapes[..] {
                [] => "?".to_owned(),
                [shape] => shape.clone(),
                shapes => format!("[{}]", shapes.join(", ")),
            };
            let layer = format!("{} ({})", row.name, row.class_name);
            let taken: Vec<String> = row.connected_to.iter().map(Connection::to_string).collect();
            let taken = if taken.is_empty() { "-".to_owned() } else { taken.join(", ") };
            write_row(f, '│', widths, [&layer, &shape, &thousands(row.parameters), &taken])?;
        }
        writeln!(f, "{}", rule('└', "─", "┴", '┘'))?;
        let total = |count| format!("{} ({})", thousands(count), readable_size(count * 4));
        writeln!(f, " Total params: {}", total(self.parameters()))?;
        writeln!(f, " Trainable params: {}", total(self.trainable_parameters()))?;
        write!(f, " Non-trainable params: {}", total(self.parameters() - self.trainable_parameters()))?;
        match &self.problem {
            Some(problem) => write!(f, "\n {problem}"),
            None => Ok(()),
        }
    }
}

/// Writes one row of cells, on as many lines as the longest cell needs.
fn write_row(f: &mut fmt::Formatter<'_>, bar: char, widths: &[usize], cells: [&str; 4]) -> fmt::Result {
    const PARAMETERS: usize = 2; // right-aligned
    let lines: Vec<Vec<String>> = cells.iter().zip(widths).map(|(cell, &width)| wrap(cell, width)).collect();
    for i in 0..lines.iter().map(Vec::len).max().unwrap_or_default() {
        for (column, (lines, width)) in lines.iter().zip(widths).enumerate() {
            let line = lines.get(i).map_or("", String::as_str);
            match column {
                PARAMETERS => write!(f, "{bar} {line:>width$} ")?,
                _ => write!(f, "{bar} {line:<width$} ")?,
            }
        }
        writeln!(f, "{bar}")?;
    }
    Ok(())
}

/// Wraps text into lines of at most `width` characters. Longer words are truncated with `…`.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ if word.chars().count() > width => {
                lines.push(word.chars().take(width - 1).chain(['…']).collect());
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// `1256080` as `1,256,080`.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).unwrap_or_default()).collect();
    groups.join(",")
}

/// Bytes in Keras' format: `4.79 MB` (of 1024 KB of 1024 B).
fn readable_size(bytes: usize) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "KB", "MB", "GB", "TB"] {
        if size < 1024.0 {
            return format!("{size:.2} {unit}");
        }
        size /= 1024.0;
    }
    format!("{size:.2} PB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{
        Activation, Add, AveragePooling2D, BatchNormalization, Concatenate, Conv2D, Dense, Flatten,
        GlobalAveragePooling2D, Layer, MaxPooling2D, Padding,
    };
    use crate::{Model, Sequential, models};

    /// The output of Keras 3.15 for the same models.
    const LENET: &str = include_str!("../../../tests/fixtures/summary/lenet.txt");
    const FUNCTIONAL: &str = include_str!("../../../tests/fixtures/summary/functional.txt");
    const NAMES: &str = include_str!("../../../tests/fixtures/summary/names.txt");

    #[test]
    fn lenet_prints_as_keras_prints_it() {
        assert_eq!(models::lenet([28, 28, 1], 10).summary().to_string(), LENET.trim_end());
    }

    #[test]
    fn long_names_wrap_as_in_keras() {
        let mut model = Sequential::new([32, 32, 3]).with_name("x");
        model
            .add(Conv2D::new(3, [3, 3]).padding(Padding::Same).activation(Activation::Relu))
            .add(Conv2D::new(3, [3, 3]))
            .add(MaxPooling2D::new([2, 2]))
            .add(AveragePooling2D::new([2, 2]).named("a_very_long_layer_name_that_does_not_fit_the_column"))
            .add(MaxPooling2D::new([2, 2]))
            .add(Flatten)
            .add(Dense::new(40_000).activation(Activation::Softmax))
            .add(Dense::new(10));
        assert_eq!(model.summary().to_string(), NAMES.trim_end());
    }

    #[test]
    fn a_graph_shows_what_each_layer_takes() {
        let mut model = Model::new([8, 8, 3]).with_name("small").with_input_name("image");
        let image = model.input();
        let a = model.apply(Conv2D::new(4, [3, 3]).padding(Padding::Same).use_bias(false).named("a"), image);
        let normalized = BatchNormalization::new().scale(false).named("a_bn_with_a_long_name_that_goes_on");
        let a = model.apply(normalized, a);
        let b = model.apply(Conv2D::new(4, [1, 1]).named("b"), image);
        let sum = model.apply(Add::default().named("sum"), [a, b]);
        let both = model.apply(Concatenate::new().named("both"), [sum, a]);
        let pool = model.apply(GlobalAveragePooling2D::new().named("pool"), both);
        model.apply(Dense::new(3).activation(Activation::Softmax).named("y"), pool);
        assert_eq!(model.summary().to_string(), FUNCTIONAL.trim_end());
    }

    #[test]
    fn a_layer_that_does_not_fit_shows_where_and_why() {
        let table = models::lenet([2, 2, 1], 10).summary().to_string();
        assert!(
            table.contains("│ pool2 (MaxPooling2D)            │ ?                      │             0 │"),
            "{table}"
        );
        assert!(table.ends_with("found an input [1, 1, 50]"), "{table}");
    }

    #[test]
    fn sizes_are_written_as_keras_writes_them() {
        assert_eq!([0, 1023, 1024, 5_024_320].map(readable_size), ["0.00 B", "1023.00 B", "1.00 KB", "4.79 MB"]);
        assert_eq!([0, 999, 1000, 138_357_544].map(thousands), ["0", "999", "1,000", "138,357,544"]);
    }
}
