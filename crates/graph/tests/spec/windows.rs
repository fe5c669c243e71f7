//! Splitting of calls into windows for tensors larger than the largest binding.

use kiln_graph::{
    Array, Error, Graph, Limits, Lowering, Op, Pieces, Plan, READ_PAST, Result, Step, TensorType, Window,
};

use crate::ops::{ADD, SUM, call, given, keep};

/// Room for 512 floats and reads past them.
const LIMITS: Limits = Limits { max_binding_bytes: 2048 + READ_PAST, ..Limits::WEBGPU };

/// `z = x + y`, computed in these pieces; a scratch tensor's size is the start of each, in units of 256 elements.
#[derive(Debug)]
struct InPieces(Pieces);

impl Op for InPieces {
    fn name(&self) -> &'static str {
        "in_pieces"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        Ok(inputs[..1].to_vec())
    }

    fn pieces(&self) -> Pieces {
        self.0.clone()
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let scratch = lowering.scratch(TensorType::f32([lowering.first() / 256 + 1]));
        call(lowering, &ADD, &[lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]]);
        call(lowering, &SUM, &[lowering.outputs()[0], scratch]);
        Ok(())
    }

    fn reference(&self, _: &[&Array], _: &Step) -> Vec<Array> {
        Vec::new()
    }
}

/// Each call's arguments: type, and start in bytes.
fn arguments(plan: &Plan, kernel: &str) -> Vec<Vec<(String, u64)>> {
    let calls = plan.calls.iter().filter(|call| call.kernel.name == kernel);
    calls.map(|call| call.arguments.iter().map(|a| (a.ty.to_string(), a.offset)).collect()).collect()
}

fn all(ty: &str, offset: u64) -> (String, u64) {
    (ty.to_owned(), offset)
}

fn planned(pieces: Pieces, [x, y]: [&[usize]; 2]) -> Result<Plan> {
    let mut graph = Graph::new();
    let [x, y] = [("x", x), ("y", y)].map(|(name, shape)| {
        let buffer = graph.buffer(name);
        graph.persistent(TensorType::f32(shape), buffer, 256)
    });
    let z = graph.add(InPieces(pieces), &[x, y])?;
    keep(&mut graph, z, "z");
    Plan::new(&graph, &LIMITS)
}

#[test]
fn elements_are_cut_to_flat_windows_and_an_op_knows_where_each_begins() {
    let plan = planned(Pieces::Elements, [&[11, 100], &[11, 100]]).unwrap();
    let window = |ty, byte| vec![all(ty, 256 + byte), all(ty, 256 + byte), all(ty, byte)];
    let expected = [window("f32[512]", 0), window("f32[512]", 2048), window("f32[76]", 4096)];
    assert_eq!(arguments(&plan, "add.forward"), expected);
    let scratch: Vec<String> = arguments(&plan, "sum.forward").iter().map(|call| call[1].0.clone()).collect();
    assert_eq!(scratch, ["f32[1]", "f32[3]", "f32[5]"]);
    assert_eq!(plan.buffers.iter().filter(|buffer| buffer.name.is_none()).count(), 1);
}

#[test]
fn samples_are_cut_together_and_what_all_of_them_see_is_not() {
    let plan = planned(Pieces::SamplesOf(vec![0]), [&[5, 4, 48], &[4, 48]]).unwrap();
    let window = |ty, byte| vec![all(ty, 256 + byte), all("f32[4, 48]", 256), all(ty, byte)];
    let expected = [window("f32[2, 4, 48]", 0), window("f32[2, 4, 48]", 1536), window("f32[1, 4, 48]", 3072)];
    assert_eq!(arguments(&plan, "add.forward"), expected);
}

#[test]
fn what_fits_is_not_cut_and_what_cannot_be_cut_is_an_error() {
    let whole = planned(Pieces::Elements, [&[2, 256], &[2, 256]]).unwrap();
    assert_eq!(
        arguments(&whole, "add.forward"),
        [[all("f32[2, 256]", 256), all("f32[2, 256]", 256), all("f32[2, 256]", 0)]]
    );
    for (pieces, shape) in [(Pieces::Whole, [11, 100]), (Pieces::Samples, [2, 600]), (Pieces::Samples, [200, 9])] {
        let bytes = (shape[0] * shape[1] * 4) as u64;
        let error = planned(pieces, [&shape, &shape]).unwrap_err();
        assert!(matches!(error, Error::TooLarge { tensor: "x", bytes: b, .. } if b == bytes), "{error:?}");
    }
}

/// `y = sum of x` in two passes, the first of which is split into windows.
#[derive(Debug)]
struct SumInWindows;

impl Op for SumInWindows {
    fn name(&self) -> &'static str {
        "sum_in_windows"
    }

    fn infer(&self, _: &[TensorType]) -> Result<Vec<TensorType>> {
        Ok(vec![TensorType::f32([1])])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let parts = lowering.scratch(TensorType::f32([lowering.shape(x).elements().div_ceil(4)]));
        for Window { parts: [x, parts], .. } in lowering.windows(lowering.shape(parts).elements(), [(x, 4), (parts, 1)])
        {
            call(lowering, &SUM, &[x, parts]);
        }
        call(lowering, &SUM, &[parts, y]);
        Ok(())
    }

    fn reference(&self, _: &[&Array], _: &Step) -> Vec<Array> {
        Vec::new()
    }
}

#[test]
fn a_reduction_asks_for_windows_of_whole_units() {
    let mut graph = Graph::new();
    let x = given(&mut graph, "x", 1027);
    let y = graph.add(SumInWindows, &[x]).unwrap();
    keep(&mut graph, y, "y");
    let plan = Plan::new(&graph, &LIMITS).unwrap();
    let expected = [
        [all("f32[512]", 0), all("f32[128]", 0)],
        [all("f32[512]", 2048), all("f32[128]", 512)],
        [all("f32[3]", 4096), all("f32[1]", 1024)],
        [all("f32[257]", 0), all("f32[1]", 0)],
    ];
    assert_eq!(arguments(&plan, "sum.forward"), expected);
}
