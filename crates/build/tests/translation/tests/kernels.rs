//! Every kernel computes the same on every processor and on a GPU.

use kiln_graph::Device;
use kiln_translation_tests as kernels;

use crate::devices::{Case, gpu, processors};
use crate::inputs::same;

/// One test per file of kernels.
macro_rules! files {
    ($($file:ident)*) => {
        $(#[test]
        fn $file() {
            let prefix = concat!(stringify!($file), ".");
            for kernel in kernels::KERNELS.iter().filter(|kernel| kernel.name.starts_with(prefix)) {
                check(&Case::new(kernel));
            }
        })*

        #[test]
        fn every_file_has_a_test() {
            for kernel in kernels::KERNELS {
                let file = kernel.name.split('.').next();
                assert!([$(stringify!($file)),* , "overrides_and_constants", "misuse"].map(Some).contains(&file), "{}", kernel.name);
            }
        }
    };
}

files! {
    arrays barriers branches calls components conversions functions_of_bits functions_of_numbers loops matrices names
    neighbours scalar_f32 scalar_i32 scalar_u32 selects sizes structs switches transcendental vectors
}

#[test]
fn overrides_and_constants() {
    let case = Case::new(kernels::overrides_and_constants::Main::KERNEL);
    check(&Case { overrides: vec![("needed", 3.0)], ..case.clone() });
    let given = [("size", 2.0), ("shift", 5.0), ("scale", 0.25), ("inferred", -1.0), ("flag", 0.0)];
    check(&Case { overrides: [&given[..], &[("other_flag", 1.0), ("needed", 9.0)]].concat(), ..case });
}

/// Runs a case everywhere.
fn check(case: &Case) {
    let name = case.kernel.name;
    let expected = case.run(gpu()).unwrap();
    for device in processors() {
        let found = case.run(device).unwrap_or_else(|error| panic!("{name} on {device:?}: {error}"));
        for (binding, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let mut words = found.iter().zip(expected).enumerate();
            let different =
                |(_, (found, expected)): &(usize, (&u32, &u32))| !same(case.kernel, binding, **found, **expected);
            let wrong: Vec<String> = words.by_ref().filter(different).take(8).map(show).collect();
            let binding = case.kernel.bindings[binding].name;
            assert!(
                wrong.is_empty(),
                "{name}, `{binding}`, found on {device:?} and expected as on {}:\n{}",
                gpu().info().name,
                wrong.join("\n")
            );
        }
    }
}

fn show((index, (&found, &expected)): (usize, (&u32, &u32))) -> String {
    let float = f32::from_bits;
    format!("  [{index}] {found} ({:?}), expected {expected} ({:?})", float(found), float(expected))
}
