//! `kiln bench`: how fast a device is.

use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use kiln::graph::Timing;
use kiln::{Device, Model, models};
use kiln_bench::{Measured, Peak, Training, Workload, measure, workloads};
use serde_json::{Value, json};

use super::{devices, show};
use crate::error::Error;

const BATCH: usize = 128;

/// Measure how fast a device runs the kernels of a training, and whole trainings.
///
/// Each op runs alone, on the shapes of LeNet, of the deeper network for CIFAR-10 and of some of InceptionV3's layers.
/// Products are told in GFLOP/s, all else in GB/s of the tensors that are taken and given; beside it the share of what
/// the device was measured to do at most in the same run: a loop of multiply-adds, and a copy larger than its caches.
/// Tensors that stay in a cache may exceed the copy. Times are those of the device's own clock, where it has one. What
/// fails is told at the end, and makes the exit status 1.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln bench
  kiln bench --device nvidia
  kiln bench conv2d                # only what has this text in its name
  kiln bench training/             # only the trainings
  kiln bench --json > bench.json")]
pub struct Arguments {
    /// Measure only what has this text in its name.
    filter: Option<String>,
    /// The device: cpu, part of a GPU's name, or a number of `kiln devices` [default: $KILN_DEVICE, or the best one].
    #[arg(long, value_name = "NAME|N")]
    device: Option<String>,
    /// About how long to measure each op; a training takes ten times as long.
    #[arg(long, default_value_t = 0.5, value_parser = super::train::arguments::positive, value_name = "S")]
    seconds: f64,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// The networks that are trained.
fn networks() -> [Model; 2] {
    [models::lenet([28, 28, 1], 10), models::cifar10_deep([32, 32, 3], 10)]
}

/// What a training was measured to do.
struct Trained {
    id: String,
    images_per_second: f64,
    first_step: Duration,
}

/// All that was measured.
struct Report {
    peak: Peak,
    timing: Option<Timing>,
    kernels: Vec<Measured>,
    trainings: Vec<Trained>,
    failures: Vec<Failure>,
}

/// What could not be measured, and why.
struct Failure {
    id: String,
    error: String,
}

impl Failure {
    fn new(id: String, error: &Error) -> Failure {
        Failure { id, error: error.to_string() }
    }
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let id_of = |model: &Model| format!("training/{}", model.name());
    let names = || workloads().iter().map(Workload::id).chain(networks().iter().map(id_of)).collect();
    let wanted = |id: &str| arguments.filter.as_ref().is_none_or(|filter| id.contains(filter));
    let workloads: Vec<Workload> = workloads().into_iter().filter(|workload| wanted(&workload.id())).collect();
    let networks: Vec<Model> = networks().into_iter().filter(|model| wanted(&id_of(model))).collect();
    if workloads.is_empty() && networks.is_empty() {
        return Err(Error::Filter { found: arguments.filter.clone().unwrap_or_default(), names: names() });
    }
    let device = devices::open(arguments.device.as_deref())?;
    let budget = Duration::from_secs_f64(arguments.seconds);

    let style = ProgressStyle::with_template("{pos}/{len} [{bar:30}] {msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=>.");
    let bar = ProgressBar::new((workloads.len() + networks.len()) as u64).with_style(style);
    bar.set_message("the device's peak");
    let before = Peak::measure(&device)?;
    let mut report = Report::new(before);
    for workload in &workloads {
        bar.set_message(workload.id());
        match measure(&device, workload, budget) {
            Ok((measured, timing)) => {
                report.timing = Some(timing);
                report.kernels.push(measured);
            }
            Err(error) => report.failures.push(Failure::new(workload.id(), &error.into())),
        }
        bar.inc(1);
    }
    for model in networks {
        let id = id_of(&model);
        bar.set_message(id.clone());
        match train(id.clone(), &device, model, budget) {
            Ok(trained) => report.trainings.push(trained),
            Err(error) => report.failures.push(Failure::new(id, &error)),
        }
        bar.inc(1);
    }
    bar.set_message("the device's peak again");
    report.peak = before.max(Peak::measure(&device)?);
    bar.finish_and_clear();

    let text = if arguments.json { format!("{:#}\n", report.json(&device)) } else { report.table(&device) };
    show(&text);
    Ok(if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The best of some runs: what else the machine does only makes them slower.
fn train(id: String, device: &Device, model: Model, budget: Duration) -> Result<Trained, Error> {
    const RUNS: usize = 10;
    let mut training = Training::new(device, model, BATCH, budget)?;
    let mut seconds = f64::INFINITY;
    for _ in 0..RUNS {
        seconds = seconds.min(training.run()?.as_secs_f64());
    }
    let images_per_second = training.samples() as f64 / seconds;
    Ok(Trained { id, images_per_second, first_step: training.first_step() })
}

impl Report {
    fn new(peak: Peak) -> Report {
        Report { peak, timing: None, kernels: Vec::new(), trainings: Vec::new(), failures: Vec::new() }
    }

    fn table(&self, device: &Device) -> String {
        let mut lines = vec![devices::words(device.info()), self.peak.to_string()];
        if let Some(timing) = self.timing {
            lines.extend([format!("timed by the {timing}"), String::new(), Measured::heading()]);
            lines.extend(self.kernels.iter().map(|measured| measured.line(&self.peak)));
        }
        if !self.trainings.is_empty() {
            lines.extend([
                String::new(),
                format!("{:<30} {:>12} {:>14}", "training/network", "images/s", "first step s"),
            ]);
        }
        for Trained { id, images_per_second, first_step } in &self.trainings {
            lines.push(format!("{id:<30} {images_per_second:>12.0} {:>14.2}", first_step.as_secs_f64()));
        }
        if !self.failures.is_empty() {
            lines.extend([String::new(), "not measured:".to_owned()]);
        }
        lines.extend(self.failures.iter().map(|Failure { id, error }| format!("{id}: {error}")));
        lines.push(String::new());
        lines.join("\n")
    }

    fn json(&self, device: &Device) -> Value {
        let kernel = |measured: &Measured| {
            let mut value = json!(measured);
            value["share_of_peak"] = measured.share(&self.peak).into();
            value
        };
        let training = |trained: &Trained| {
            let Trained { id, images_per_second, first_step } = trained;
            let first_step = first_step.as_secs_f64();
            json!({ "id": id, "batch_size": BATCH, "images_per_second": images_per_second, "first_step_seconds": first_step })
        };
        json!({
            "device": devices::json(device.info()),
            "peak": self.peak,
            "timing": self.timing.map(|timing| timing.to_string()),
            "kernels": self.kernels.iter().map(kernel).collect::<Vec<_>>(),
            "trainings": self.trainings.iter().map(training).collect::<Vec<_>>(),
            "failures": self.failures.iter().map(|Failure { id, error }| json!({ "id": id, "error": error })).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_could_not_be_measured_is_told_in_the_table_and_in_json() {
        let device = Device::cpu().unwrap();
        let mut report = Report::new(Peak { flops_per_second: 1e9, bytes_per_second: 1e9 });
        assert!(!report.table(&device).contains("not measured"));
        report.failures.push(Failure { id: "conv2d/lenet.conv1".to_owned(), error: "the device was lost".to_owned() });
        assert!(report.table(&device).ends_with("not measured:\nconv2d/lenet.conv1: the device was lost\n"));
        let expected = json!([{ "id": "conv2d/lenet.conv1", "error": "the device was lost" }]);
        assert_eq!(report.json(&device)["failures"], expected);
    }
}
