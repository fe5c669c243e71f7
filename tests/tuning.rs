//! Kernels chosen by measurement: bit-identical, cached in a file, and reused.

use std::sync::Arc;

use kiln::graph::{Array, Choice, Choices, DeviceKind, Graph, Limits, Op, Plan, TensorType};
use kiln::ops::{Conv2d, Conv2dInputGradient, Conv2dWeightGradient, Matmul, Padding};
use kiln::{Compile, Device, Fit, OpProgram, Tune};

use crate::common::{bars, bits, device, files, model};

/// Products with every layout of inputs, few and many rows, and sizes that are not multiples of a tile.
fn products() -> Vec<(Arc<dyn Op>, Vec<Array>)> {
    let (strides, padding) = ([1, 1], Padding::Same);
    let random = |shape: &[usize], seed| Array::random(shape.to_vec(), seed);
    let product = |transpose_a, transpose_b| Arc::new(Matmul { transpose_a, transpose_b, bias: false }) as Arc<dyn Op>;
    vec![
        (product(false, false), vec![random(&[70, 37], 1), random(&[37, 130], 2)]),
        (product(false, false), vec![random(&[2, 37], 1), random(&[37, 70], 2)]),
        (product(false, true), vec![random(&[70, 18], 1), random(&[67, 18], 2)]),
        (product(true, false), vec![random(&[19, 70], 1), random(&[19, 66], 2)]),
        // Several blocks of the inner axis, the last one partial.
        (product(false, false), vec![random(&[70, 530], 1), random(&[530, 34], 2)]),
        (product(false, true), vec![random(&[19, 515], 1), random(&[67, 515], 2)]),
        (
            Arc::new(Matmul { transpose_a: false, transpose_b: false, bias: true }),
            vec![random(&[2, 1030], 1), random(&[1030, 70], 2), random(&[70], 3)],
        ),
        (
            Arc::new(Conv2d { strides, padding, bias: true }),
            vec![random(&[2, 7, 9, 6], 1), random(&[3, 3, 6, 70], 2), random(&[70], 3)],
        ),
        // Enough columns for a tile of 64 x 64 in workgroup memory; the others' are 128 x 32.
        (
            Arc::new(Conv2d { strides, padding, bias: true }),
            vec![random(&[2, 7, 9, 6], 1), random(&[3, 3, 6, 40], 2), random(&[40], 3)],
        ),
        (
            Arc::new(Conv2dInputGradient { strides, padding, image: [7, 9] }),
            vec![random(&[2, 7, 9, 6], 1), random(&[3, 3, 40, 6], 2)],
        ),
        (
            Arc::new(Conv2dWeightGradient { strides, padding, size: [3, 3] }),
            vec![random(&[3, 9, 9, 10], 1), random(&[3, 9, 9, 40], 2)],
        ),
        (product(true, false), vec![random(&[19, 70], 1), random(&[19, 40], 2)]),
        (
            Arc::new(Conv2dInputGradient { strides, padding, image: [7, 9] }),
            vec![random(&[2, 7, 9, 6], 1), random(&[3, 3, 5, 6], 2)],
        ),
        (
            Arc::new(Conv2dWeightGradient { strides, padding, size: [3, 3] }),
            vec![random(&[3, 9, 9, 6], 1), random(&[3, 9, 9, 5], 2)],
        ),
    ]
}

fn choices_of(op: &Arc<dyn Op>, inputs: &[Array]) -> Vec<Choice> {
    OpProgram::with_choices(device(), op.clone(), inputs, &[], &Choices::default()).unwrap().plan().choices.clone()
}

#[test]
fn every_kernel_that_can_be_chosen_gives_the_same_bits() {
    for (op, inputs) in products() {
        let found = choices_of(&op, &inputs);
        if device().info().kind == DeviceKind::Cpu {
            assert!(found.is_empty(), "{op:?}: a processor has one tile");
            continue;
        }
        assert_eq!(found.len(), 1, "{op:?}");
        let results: Vec<Vec<u8>> = (0..found[0].kernels.len())
            .map(|place| {
                let mut choices = Choices::default();
                choices.set(&found[0], place);
                let mut program = OpProgram::with_choices(device(), op.clone(), &inputs, &[], &choices).unwrap();
                assert!(
                    program.plan().calls.iter().any(|call| call.kernel.name == found[0].kernels[place].name),
                    "{op:?} does not call {}",
                    found[0].kernels[place].name
                );
                program.run(1).unwrap();
                program.results().unwrap()[0].to_bytes()
            })
            .collect();
        for (kernel, result) in found[0].kernels.iter().zip(&results) {
            assert_eq!(*result, results[0], "{op:?} by {}", kernel.name);
        }
    }
}

#[test]
fn what_was_measured_is_kept_in_a_file_and_used_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let (op, inputs) = products().swap_remove(0);
    let plan = |device: &Device| -> Plan {
        let mut graph = Graph::new();
        let buffer = |graph: &mut Graph, name: &str| graph.buffer(name);
        let tensors: Vec<_> = inputs
            .iter()
            .zip(["a", "b"])
            .map(|(array, name)| {
                let buffer = buffer(&mut graph, name);
                graph.persistent(array.ty.clone(), buffer, 0)
            })
            .collect();
        let outputs = graph.add_shared(op.clone(), &tensors).unwrap();
        let buffer = buffer(&mut graph, "c");
        graph.place(outputs[0], buffer, 0).unwrap();
        device.plan(&graph).unwrap()
    };

    let full = plan(&device().with_tuning(Tune::Full, Some(folder.path())));
    if device().info().kind == DeviceKind::Cpu {
        assert!(full.choices.is_empty() && files(folder.path()).is_empty());
        return;
    }
    let written = files(folder.path());
    assert_eq!(written.len(), 1, "{written:?}");
    let file = folder.path().join(&written[0]);
    let text = std::fs::read_to_string(&file).unwrap();
    let kernel = full.choices[0].kernels[full.choices[0].chosen].name;
    assert!(text.contains(kernel) && text.contains("Matmul"), "{text}");

    // Another kernel that is the fastest according to the file.
    let other = full.choices[0].kernels.iter().map(|kernel| kernel.name).find(|name| *name != kernel).unwrap();
    std::fs::write(&file, text.replace(kernel, other)).unwrap();
    let chosen = |tune| {
        let plan = plan(&device().with_tuning(tune, Some(folder.path())));
        plan.choices[0].kernels[plan.choices[0].chosen].name
    };
    assert_eq!([chosen(Tune::Cached), chosen(Tune::Full)], [other; 2], "nothing is measured twice");
    let by_default = full.choices[0].kernels[0].name;
    assert_eq!(chosen(Tune::Off), by_default);
    std::fs::write(&file, "{ half a file").unwrap();
    assert_eq!(chosen(Tune::Cached), by_default, "a damaged file counts for nothing");
}

#[test]
fn a_product_that_would_leave_a_gpu_idle_has_its_blocks_computed_side_by_side() {
    let kernels = |[m, k, n]: [usize; 3]| -> Vec<&str> {
        let mut graph = Graph::new();
        let [a, b, c] = ["a", "b", "c"].map(|name| graph.buffer(name));
        let [a, b] = [(a, [m, k]), (b, [k, n])].map(|(buffer, shape)| {
            let ty = TensorType::f32(shape);
            graph.persistent(ty, buffer, 0)
        });
        let product = graph.add(Matmul::default(), &[a, b]).unwrap();
        graph.place(product, c, 0).unwrap();
        let plan = Plan::new(&graph, &Limits::WEBGPU).unwrap();
        plan.calls.iter().map(|call| call.kernel.name).collect()
    };
    assert_eq!(kernels([1, 4096, 512]), ["matmul_split.single", "matmul_split.merge"]);
    assert_eq!(kernels([128, 2048, 512]), ["matmul_split.tiles", "matmul_split.merge"]);
    assert_eq!(kernels([128, 256, 512]), ["matmul_shared.nn"], "one block");
    assert_eq!(kernels([2048, 2048, 512]), ["matmul_shared.nn"], "workgroups enough");
}

#[test]
fn a_training_with_measured_kernels_ends_with_the_same_bits() {
    let trained = |device: &Device| {
        let mut model = model();
        model.compile(device, Compile::default()).unwrap();
        model.fit(&bars(24), Fit { epochs: 1, batch_size: 8, ..Fit::default() }).unwrap();
        bits(&model.get_weights().unwrap())
    };
    assert_eq!(trained(&device().with_tuning(Tune::Full, None)), trained(&device().with_tuning(Tune::Off, None)));
}
