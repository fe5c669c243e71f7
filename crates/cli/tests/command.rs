//! Exit statuses and messages, on which scripts rely. Needs no device.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs a command; returns the exit status and the standard error.
fn kiln(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kiln")).args(arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn wrong_arguments_exit_with_2() {
    for arguments in [
        &["burn"][..],
        &["train", "lenex"],
        &["train", "lenet", "--epochs", "0"],
        &["train", "lenet", "--batch-size", "0"],
        &["train", "lenet", "--learning-rate", "nan"],
        &["train", "lenet", "--learning-rate", "1e-50"],
        &["train", "lenet", "--learning-rate", "1e50"],
        &["train", "lenet", "--validation-split", "1"],
        &["train", "lenet", "--momentum", "0.9"],
        &["data", "cifar"],
        &["evaluate"],
    ] {
        assert_eq!(kiln(arguments).0, 2, "{arguments:?}");
    }
}

#[test]
fn an_option_that_the_optimizer_does_not_have_is_refused_by_name() {
    let usage = "\n\nUsage: kiln train [OPTIONS] <MODEL>\n";
    for (options, expected) in [
        (&["--momentum", "0.9"][..], "--momentum is for --optimizer sgd or rmsprop; found adam, which is the default"),
        (&["--optimizer", "rmsprop", "--nesterov"], "--nesterov is for --optimizer sgd; found rmsprop"),
        (&["--optimizer", "sgd", "--nesterov"], "--nesterov needs a --momentum above 0"),
        (
            &["--optimizer", "sgd", "--epsilon", "1"],
            "--epsilon is for --optimizer adadelta or adagrad or adam or adamw",
        ),
        (&["--optimizer", "nadam", "--amsgrad"], "--amsgrad is for --optimizer adam or adamw; found nadam"),
        (&["--optimizer", "adam", "--rho", "0.5"], "--rho is for --optimizer rmsprop or adadelta; found adam"),
        (&["--optimizer", "adam", "--centered"], "--centered is for --optimizer rmsprop; found adam"),
        (&["--epsilon-outside-root"], "--epsilon-outside-root is for --optimizer rmsprop; found adam"),
        (&["--optimizer", "sgd", "--beta-1", "0.5"], "--beta-1 is for --optimizer adam or adamw or nadam; found sgd"),
        (&["--optimizer", "sgd", "--beta-2", "0.5"], "--beta-2 is for --optimizer adam or adamw or nadam; found sgd"),
        (&["--initial-accumulator-value", "1"], "--initial-accumulator-value is for --optimizer adagrad; found adam"),
        (&["--exclude-from-weight-decay", "bias"], "--exclude-from-weight-decay needs a --weight-decay above 0"),
        (&["--reduce-lr-on-plateau", "--decay", "0.1"], "--reduce-lr-on-plateau cannot change a learning rate that"),
        (
            &["--reduce-lr-on-plateau", "--validation-split", "0"],
            "--reduce-lr-on-plateau needs val_loss; set --validation-split",
        ),
        (
            &["--schedule", "piecewise:boundaries=[1],values=[1,2]", "--learning-rate", "1"],
            "--schedule piecewise sets the learning rates; remove --learning-rate",
        ),
    ] {
        let (status, message) = kiln(&[&["train", "lenet"], options].concat());
        assert!(status == 2 && message.starts_with(&format!("error: {expected}")), "{options:?}: {message}");
        assert!(message.contains(usage), "{message}");
    }
    for options in [
        &["--schedule", "cosin"][..],
        &["--schedule", "cosine:alfa=1"],
        &["--schedule", "cosine", "--decay", "0.1"],
        &["--clip-norm", "1", "--clip-value", "1"],
        &["--clip-norm", "1", "--global-clip-norm", "1"],
        &["--clip-value", "0"],
        &["--ema", "1.5"],
        &["--ema-overwrite-frequency", "3"],
        &["--weight-decay", "-1"],
        &["--class-weight", "1"],
        &["--reduce-lr-on-plateau", "factor=1"],
    ] {
        let (status, message) = kiln(&[&["train", "lenet"], options].concat());
        assert!(status == 2 && message.contains(options[0]), "{options:?}: {message}");
    }
}

#[test]
fn the_program_is_called_kiln() {
    assert_eq!(said(&["--version"]), format!("kiln {}\n", env!("CARGO_PKG_VERSION")));
    for arguments in [&["burn"][..], &["train"], &["train", "lenet", "--nesterov"], &["--help"], &["bench", "--help"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_kiln")).args(arguments).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("Usage: kiln ") && !text.contains("kiln-train"), "{arguments:?}: {text}");
    }
}

#[test]
fn a_damaged_file_in_place_of_a_model_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write_mnist(folder.path(), [4, 4]);
    let [path, data, out] = ["model.keras", "", "run"].map(|name| folder.path().join(name));
    std::fs::write(&path, b"PK\x03\x04 and so on").unwrap();
    let [path, data, out] = [&path, &data, &out].map(|path| path.to_str().unwrap());
    for arguments in [
        &["summary", path][..],
        &["profile", path],
        &["evaluate", path],
        &["train", path, "--data", data, "--out", out, "--device", "cpu"],
    ] {
        let (status, message) = kiln(arguments);
        let expected = format!("error: {path}: expected a `.keras` file, found a damaged archive");
        assert!(status == 1 && message.starts_with(&expected), "{message}");
    }
}

#[test]
fn an_empty_number_of_threads_is_none() {
    let program = |threads| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
        command.args(["check", "transpose", "--device", "cpu"]).env("KILN_THREADS", threads).output().unwrap()
    };
    assert!(program("").status.success());
    let refused = program("none");
    assert!(String::from_utf8(refused.stderr).unwrap().contains("KILN_THREADS is `none`"));
}

#[test]
fn help_exits_with_0_and_shows_examples() {
    let first = ["devices", "data", "train", "evaluate", "predict", "features", "finetune", "summary"];
    for command in first.into_iter().chain(["augment-preview", "bench", "profile", "check"]) {
        let output = Command::new(env!("CARGO_BIN_EXE_kiln")).args([command, "--help"]).output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().contains(&format!("Examples:\n  kiln {command}")));
    }
}

#[test]
fn a_run_that_is_not_there_exits_with_1_and_names_the_folder() {
    let message = "error: no model.json in no/run; expected the output folder of `kiln train`\n";
    assert_eq!(kiln(&["evaluate", "no/run"]), (1, message.to_owned()));
}

#[test]
fn a_model_that_is_not_known_exits_with_1() {
    let (status, message) = kiln(&["summary", "alexnet"]);
    assert_eq!(status, 1);
    assert!(message.starts_with("error: unknown network `alexnet`; expected lenet, cifar10_simple, "), "{message}");
    let files = "a model.json or a folder with one, or a .keras, .h5 or .onnx file of a whole model\n";
    assert!(message.ends_with(files), "{message}");
}

#[test]
fn data_that_is_not_there_exits_with_1() {
    let out = tempfile::tempdir().unwrap();
    let out = out.path().to_str().unwrap();
    let message = "error: unknown data set `mnits`; expected mnist, fashion-mnist, cifar10, cifar100, a folder or an archive (.tar.gz)\n";
    assert_eq!(kiln(&["train", "lenet", "--data", "mnits", "--out", out]), (1, message.to_owned()));

    let (status, message) = kiln(&["data", "mnist", "--from", "/no/folder", "--into", out]);
    assert_eq!(status, 1);
    assert!(
        message.contains("expected train-images-idx3-ubyte or train-images-idx3-ubyte.gz in /no/folder"),
        "{message}"
    );
}

#[test]
fn a_folder_without_data_exits_with_1_and_says_what_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let (status, message) = kiln(&["train", "lenet", "--data", path, "--out", path]);
    assert_eq!(status, 1);
    let expected = "or a folder of images for each class, found nothing\n";
    assert!(message.contains("data_batch_1.bin") && message.ends_with(expected), "{message}");
}

#[test]
fn damaged_images_exit_with_1_are_named_and_can_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    for class in ["train/cat", "train/dog", "test/cat", "test/dog"] {
        std::fs::create_dir_all(folder.path().join(class)).unwrap();
        std::fs::write(folder.path().join(class).join("1.png"), "no image").unwrap();
    }
    let path = folder.path().to_str().unwrap();
    let (status, message) = kiln(&["train", "lenet", "--data", path, "--out", path]);
    assert_eq!(status, 1);
    assert!(message.contains("2 of 2 images cannot be used") && message.contains("dog/1.png: expected an image"));
    assert!(message.ends_with("to leave them out, pass --skip-corrupt\n"), "{message}");
    let (_, message) = kiln(&["train", "lenet", "--data", path, "--out", path, "--skip-corrupt"]);
    assert!(
        message.starts_with("warning: left out: ") && message.contains("cat/1.png: expected an image"),
        "{message}"
    );
}

#[test]
fn a_file_cut_short_exits_with_1_and_names_file_expected_and_found() {
    let folder = tempfile::tempdir().unwrap();
    for name in kiln::data::MNIST_FILES {
        std::fs::write(folder.path().join(name), [0, 0, 8, 3, 0, 0, 0, 1]).unwrap();
    }
    let path = folder.path().to_str().unwrap();
    let (status, message) = kiln(&["train", "lenet", "--data", path, "--out", path]);
    assert_eq!(status, 1);
    let expected =
        "train-images-idx3-ubyte: expected the extent of axis 1 of 3, found 0 bytes (the file is cut short)\n";
    assert!(message.ends_with(expected), "{message}");
}

/// MNIST's four files with `counts` made-up training and test images.
fn write_mnist(folder: &Path, counts: [u32; 2]) {
    for (name, count) in kiln::data::MNIST_FILES.iter().zip([counts[0], counts[0], counts[1], counts[1]]) {
        let count_bytes = count.to_be_bytes();
        let bytes = match name.contains("images") {
            true => {
                let pixels = (0..count * 784).map(|i| (i * 7 % 251) as u8).collect();
                [vec![0, 0, 8, 3], count_bytes.to_vec(), vec![0, 0, 0, 28, 0, 0, 0, 28], pixels].concat()
            }
            false => [vec![0, 0, 8, 1], count_bytes.to_vec(), (0..count).map(|i| (i % 10) as u8).collect()].concat(),
        };
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

#[test]
fn a_model_of_a_training_that_was_killed_is_evaluated_on_the_data_of_that_training() {
    let folder = tempfile::tempdir().unwrap();
    write_mnist(folder.path(), [64, 20]);
    let out = folder.path().join("run");
    let [data, run] = [folder.path(), &out].map(|path| path.to_str().unwrap());
    let arguments = ["train", "lenet", "--device", "cpu", "--epochs", "1000000", "--data", data, "--out", run];
    let mut training = Command::new(env!("CARGO_BIN_EXE_kiln")).args(arguments).stdout(Stdio::null()).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(120);
    while !out.join("history.json").is_file() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    training.kill().unwrap();
    training.wait().unwrap();
    let said = said(&["evaluate", run, "--device", "cpu"]);
    assert!(said.starts_with(&format!("20 test images of {data} on ")), "{said}");
}

#[test]
fn all_that_an_optimizer_has_can_be_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    write_mnist(folder.path(), [40, 10]);
    let data = folder.path().to_str().unwrap();
    let out = folder.path().join("run");
    let out = out.to_str().unwrap();
    let train = |options: &str| {
        let _ = std::fs::remove_dir_all(out);
        let fixed = ["train", "lenet", "--device", "cpu", "--epochs", "1", "--data", data, "--out", out];
        said(&[&fixed[..], &options.split(' ').collect::<Vec<_>>()].concat());
        let run: serde_json::Value =
            serde_json::from_slice(&std::fs::read(format!("{out}/run.json")).unwrap()).unwrap();
        run["optimizer"].as_str().unwrap().to_owned()
    };
    for (options, expected) in [
        (
            "--optimizer sgd --momentum 0.9 --nesterov --decay 0.1 --clip-norm 0.5 --class-weight 3=2,4=0.5",
            "SGD { learning_rate: InverseTimeDecay { initial_learning_rate: 0.01, decay_steps: 1, decay_rate: 0.1, staircase: \
             false }, momentum: 0.9, nesterov: true, weight_decay: 0.0 }, clipnorm 0.5",
        ),
        (
            "--optimizer rmsprop --rho 0.8 --momentum 0.5 --epsilon 1e-3 --epsilon-outside-root --centered --clip-value 1",
            "RMSprop { learning_rate: 0.001, rho: 0.8, momentum: 0.5, epsilon: 0.001, epsilon_under_root: false, centered: \
             true, weight_decay: 0.0 }, clipvalue 1",
        ),
        (
            "--amsgrad --beta-1 0.8 --beta-2 0.99 --ema 0.9 --ema-overwrite-frequency 5 --reduce-lr-on-plateau patience=1",
            "Adam { learning_rate: 0.001, beta_1: 0.8, beta_2: 0.99, epsilon: 1e-7, amsgrad: true, weight_decay: 0.0 }, \
             moving average with momentum 0.9, over the weights every 5 steps",
        ),
        (
            "--optimizer adamw --exclude-from-weight-decay bias --schedule cosine:alpha=0.1 --batch-size 8 --ema",
            "AdamW { learning_rate: CosineDecay { initial_learning_rate: 0.001, decay_steps: 4, alpha: 0.1, warmup_target: \
             None, warmup_steps: 0 }, weight_decay: 0.004 but for bias, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, amsgrad: \
             false }, moving average with momentum 0.99",
        ),
        (
            "--optimizer adagrad --initial-accumulator-value 0.5 --weight-decay 0.01 --global-clip-norm 2",
            "Adagrad { learning_rate: 0.001, initial_accumulator_value: 0.5, epsilon: 1e-7, weight_decay: 0.01 }, \
             global_clipnorm 2",
        ),
    ] {
        assert_eq!(train(options), expected, "{options}");
    }
    let fixed = ["train", "lenet", "--device", "cpu", "--epochs", "1", "--data", data, "--out", out];
    let _ = std::fs::remove_dir_all(out);
    let (status, message) = kiln(&[&fixed[..], &["--class-weight", "11=2"]].concat());
    let expected = "error: --class-weight: expected a class's number, 0 to 9, found `11`\n";
    assert_eq!((status, message.as_str()), (1, expected));
    let unknown = ["--weight-decay", "0.1", "--exclude-from-weight-decay", "bais"];
    let (status, message) = kiln(&[&fixed[..], &unknown].concat());
    let expected =
        "error: --exclude-from-weight-decay: expected part of a variable's name (bias, kernel) or layer/variable";
    assert!(status == 1 && message.starts_with(expected), "{message}");
}

/// The standard output of a command that succeeds.
fn said(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_kiln")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_check_says_what_passed_with_the_largest_error() {
    let table = said(&["check", "unfold", "--device", "cpu"]);
    assert!(table.contains("18 cases, 108 special") && table.contains(" 0.0e0  ok\n\n1 of 1 passed\n"), "{table}");
    let report: serde_json::Value =
        serde_json::from_str(&said(&["check", "softmax", "--device", "cpu", "--json"])).unwrap();
    let findings = report["findings"].as_array().unwrap();
    assert!(
        findings.len() == 3 && findings.iter().all(|finding| finding["problems"] == serde_json::json!([])),
        "{report}"
    );
    assert_eq!(report["device"]["backend"], "CPU");
}

#[test]
fn a_bench_tells_rates_and_shares_of_the_peak() {
    let arguments = ["bench", "softmax_cross_entropy/lenet", "--seconds", "0.01", "--device", "cpu", "--json"];
    let report: serde_json::Value = serde_json::from_str(&said(&arguments)).unwrap();
    let [kernel] = &report["kernels"].as_array().unwrap()[..] else { panic!("{report}") };
    assert_eq!((&kernel["id"], &kernel["shapes"]), (&"softmax_cross_entropy/lenet.loss".into(), &"128x10 128".into()));
    assert!(kernel["share_of_peak"].as_f64().unwrap() > 0.0 && kernel["spread"].as_f64().unwrap() >= 0.0);
    assert!(report["peak"]["flops_per_second"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_filter_that_leaves_nothing_is_an_error_that_lists_the_names() {
    for (command, name) in [("bench", "conv2d/lenet.conv1"), ("check", "a training as in Keras")] {
        let (status, message) = kiln(&[command, "no such op"]);
        assert!(
            status == 1 && message.contains("no name contains `no such op`") && message.contains(name),
            "{message}"
        );
    }
}

#[test]
fn a_profile_leaves_a_trace_and_a_picture() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().join("lenet");
    let arguments =
        ["--batch-size", "4", "--steps", "1", "--device", "cpu", "--augment", "--out", folder.to_str().unwrap()];
    let table = said(&[&["profile", "lenet"], &arguments[..]].concat());
    for text in [
        "A step of lenet, 4 samples",
        "winograd_weight_gradient.forward",
        "augment_warp.forward",
        "4x14x14x20 36x2x20x32 50 5x5x20x50 -> 4x14x14x50",
    ] {
        assert!(table.contains(text), "{text} in {table}");
    }
    let trace: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("trace.json")).unwrap()).unwrap();
    assert!(trace["traceEvents"].as_array().unwrap().len() > 20);
    assert!(std::fs::read_to_string(folder.join("profile.svg")).unwrap().contains("A step of lenet"));
    assert!(said(&[&["profile", "lenet", "--loss", "mse"], &arguments[..]].concat()).contains("mean_loss.gradient"));
    let (status, message) = kiln(&["profile", "lenet", "--loss", "hinge"]);
    assert!(status == 2 && message.contains("hinge"), "{message}");
}

#[test]
fn a_file_of_mnist_in_place_of_its_folder_and_an_empty_model_are_named() {
    let folder = tempfile::tempdir().unwrap();
    write_mnist(folder.path(), [4, 4]);
    let file = folder.path().join(kiln::data::MNIST_FILES[0]);
    let (status, message) = kiln(&["train", "lenet", "--data", file.to_str().unwrap(), "--device", "cpu"]);
    assert!(status == 1 && message.contains("pass the folder that has its four files"), "{message}");
    let empty = folder.path().join("y.keras");
    std::fs::write(&empty, "").unwrap();
    let (status, message) = kiln(&["summary", empty.to_str().unwrap()]);
    assert!(status == 1 && message.ends_with("expected a model as JSON, found an empty file\n"), "{message}");
}

#[test]
fn a_model_of_several_inputs_and_outputs_has_a_summary_and_is_refused_by_other_commands() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = kiln::Model::new([3]).with_name("two").with_input_name("a");
    let b = model.add_input("b", [3]);
    let sum = model.apply(kiln::layers::Add::default(), [model.input(), b]);
    let twice = model.apply(kiln::layers::Rescaling::new(2.0), sum);
    model.set_output([sum, twice]).unwrap();
    model.save(folder.path()).unwrap();
    let path = folder.path().to_str().unwrap();
    assert_eq!(kiln(&["summary", path]), (0, String::new()));
    let expected = "model `two`: expected a model with one input and one output, found the inputs a, b and the outputs add, \
                    rescaling; use such a model with the library, with `Dataset::zip` and `Model::predict_outputs`";
    let on_tensors = ["predict", path, "--input", "in.safetensors", "--output", "out.safetensors"];
    for arguments in [&["predict", path, "a.png"][..], &on_tensors, &["profile", path]] {
        let (status, message) = kiln(arguments);
        assert!(status == 1 && message.contains(expected), "{arguments:?}: {message}");
    }
}
