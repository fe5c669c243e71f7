//! Kernels chosen by measurement, cached in a file, and reused. `kiln check` compares their bits.

use std::sync::Arc;

use kiln::graph::{Array, DeviceKind, Graph, Limits, Plan, TensorType};
use kiln::ops::Matmul;
use kiln::{Compile, Device, Fit, Tune};

use crate::common::{bars, bits, device, files, model};

#[test]
fn what_was_measured_is_kept_in_a_file_and_used_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = [Array::random([70, 37], 1), Array::random([37, 130], 2)];
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
        let outputs = graph.add_shared(Arc::new(Matmul::default()), &tensors).unwrap();
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
