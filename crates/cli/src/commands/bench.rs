//! `kiln bench`: the speed of a device.

use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use kiln::Device;
use kiln::graph::Timing;
use kiln_bench::{Measured, Peak, Samples, Training, TrainingWorkload, Workload, measure, trainings, workloads};
use serde_json::{Value, json};

use super::{counted, devices, show};
use crate::error::Error;
use crate::progress::rate;

/// A machine is disturbed if its peak changes by more than this factor.
const CHANGE: f64 = 1.1;
/// It is also disturbed if more than a quarter of all times spread by more than this share.
const SPREAD: f64 = 0.3;

/// Measure the speed of a device: of the kernels of a training, and of whole trainings.
///
/// Each op runs alone, on the shapes of LeNet, of the deeper network for CIFAR-10 and of some of InceptionV3's layers; on
/// GPUs, also on those of VGG16's blocks and of a large product. Trainings are of these two networks, on GPUs also of
/// InceptionV3, and in mixed precision, too, where the device has cooperative matrices. The last column is the kernel that
/// did most of the work. Products are reported in GFLOP/s, all other ops in GB/s of their inputs and outputs, both also
/// as a share of the device's peak: a loop of multiply-adds, and a copy larger than its caches, measured at the beginning. Tensors that
/// stay in a cache are faster than the copy, and have no share. Times are the median of several runs (for trainings, the best) with their
/// spread, by the device's own clock if it has one. The last lines report disturbances of the machine, and failures,
/// which make the exit status 1.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln bench
  kiln bench --device nvidia
  kiln bench conv2d                # only names that contain this text
  kiln bench training/             # only the trainings
  kiln bench --json > bench.json")]
pub struct Arguments {
    /// Measure only the ops and trainings with this text in their names.
    filter: Option<String>,
    /// The device: cpu, part of a GPU's name, or a number from `kiln devices` [default: $KILN_DEVICE, or the best one].
    #[arg(long, value_name = "NAME|N")]
    device: Option<String>,
    /// The approximate time for each op; a training takes ten times as long.
    #[arg(long, default_value_t = 0.5, value_parser = super::train::arguments::positive, allow_negative_numbers = true, value_name = "S")]
    seconds: f64,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// The measured speed of a training.
struct Trained {
    id: String,
    batch_size: usize,
    /// Of the fastest run, because other load on the machine only slows runs down.
    images_per_second: f64,
    /// Of the median run.
    median_images_per_second: f64,
    /// The spread of its times, as a share of their median.
    spread: f64,
    first_step: Duration,
}

/// All measurements.
struct Report {
    /// The device's peak before and after all other measurements.
    peaks: [Peak; 2],
    timing: Option<Timing>,
    kernels: Vec<Measured>,
    trainings: Vec<Trained>,
    failures: Vec<Failure>,
}

/// A measurement that failed, and why.
struct Failure {
    id: String,
    error: String,
}

impl Failure {
    fn new(id: String, error: &Error) -> Failure {
        Failure { id, error: error.to_string() }
    }
}

/// Each row of the table as soon as it is measured, above a progress bar on a terminal. With JSON, which is complete only
/// at the end, the table goes to the standard error, so that a run that is cut off is not lost.
struct Output {
    bar: ProgressBar,
    json: bool,
}

impl Output {
    fn new(steps: usize, json: bool) -> Output {
        let style = ProgressStyle::with_template("{pos}/{len} [{bar:30}] {msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=>.");
        Output { bar: ProgressBar::new(steps as u64).with_style(style), json }
    }

    fn doing(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    fn line(&self, line: &str) {
        self.bar.suspend(|| match self.json {
            true => eprintln!("{line}"),
            false => show(&format!("{line}\n")),
        });
    }
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let device = devices::open(arguments.device.as_deref())?;
    let (suited, too_large) = workloads(device.info())?;
    let trainings = trainings(device.info());
    let names = || {
        let kernels = suited.iter().chain(&too_large).map(Workload::id);
        kernels.chain(trainings.iter().map(TrainingWorkload::id)).collect()
    };
    let wanted = |id: &str| arguments.filter.as_ref().is_none_or(|filter| id.contains(filter));
    let workloads: Vec<&Workload> = suited.iter().filter(|workload| wanted(&workload.id())).collect();
    let left_out = too_large.iter().filter(|workload| wanted(&workload.id())).count();
    if workloads.is_empty() && !trainings.iter().any(|training| wanted(&training.id())) && left_out == 0 {
        return Err(Error::Filter { found: arguments.filter.clone().unwrap_or_default(), names: names() });
    }
    let trainings: Vec<TrainingWorkload> = trainings.into_iter().filter(|training| wanted(&training.id())).collect();
    let budget = Duration::from_secs_f64(arguments.seconds);

    let output = Output::new(workloads.len() + trainings.len(), arguments.json);
    output.line(&device.info().to_string());
    output.doing("the device's peak");
    let peak = Peak::measure(&device)?;
    output.line(&peak.to_string());
    let mut report = Report::new(peak);
    if left_out > 0 {
        output.line(&format!(
            "not measured, because they take too long without a GPU: {}",
            counted(left_out, "large ops")
        ));
    }
    if !workloads.is_empty() {
        output.line(&format!("\n{}", Measured::heading()));
    }
    for workload in workloads {
        output.doing(&workload.id());
        match measure(&device, workload, budget) {
            Ok((measured, timing)) => {
                output.line(&measured.line(&peak));
                report.timing = Some(timing);
                report.kernels.push(measured);
            }
            Err(error) => report.failures.push(Failure::new(workload.id(), &error.into())),
        }
        output.bar.inc(1);
    }
    if !trainings.is_empty() {
        output.line(&format!("\n{}", Trained::heading()));
    }
    for training in trainings {
        let id = training.id();
        output.doing(&id);
        match train(&device, training, budget) {
            Ok(trained) => {
                output.line(&trained.line());
                report.trainings.push(trained);
            }
            Err(error) => report.failures.push(Failure::new(id, &error)),
        }
        output.bar.inc(1);
    }
    output.doing("the device's peak again");
    report.peaks[1] = Peak::measure(&device)?;
    output.bar.finish_and_clear();
    report.end().iter().for_each(|line| output.line(line));
    if arguments.json {
        show(&format!("{:#}\n", report.json(&device)));
    }
    Ok(if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The speed of several runs.
fn train(device: &Device, training: TrainingWorkload, budget: Duration) -> Result<Trained, Error> {
    const RUNS: usize = 10;
    let (id, batch_size) = (training.id(), training.batch_size);
    let mut training = Training::new(device, training, budget)?;
    let mut seconds = Vec::new();
    for _ in 0..RUNS {
        seconds.push(training.run()?.as_secs_f64());
    }
    let seconds = Samples::new(seconds);
    let samples = training.samples() as f64;
    Ok(Trained {
        id,
        batch_size,
        images_per_second: samples / seconds.fastest(),
        median_images_per_second: samples / seconds.median(),
        spread: seconds.spread(),
        first_step: training.first_step(),
    })
}

impl Trained {
    fn heading() -> String {
        format!("{:<30} {:>12} {:>6} {:>14}", "training/network", "images/s", "spread", "first step s")
    }

    fn line(&self) -> String {
        let Trained { id, images_per_second, spread, first_step, .. } = self;
        let (speed, spread, first_step) = (rate(*images_per_second), 100.0 * spread, first_step.as_secs_f64());
        format!("{id:<30} {speed:>12} {spread:>4.0} % {first_step:>14.2}")
    }
}

impl Report {
    fn new(peak: Peak) -> Report {
        Report { peaks: [peak; 2], timing: None, kernels: Vec::new(), trainings: Vec::new(), failures: Vec::new() }
    }

    /// The lines below the tables.
    fn end(&self) -> Vec<String> {
        let mut lines = vec![String::new()];
        lines
            .extend(self.timing.map(|timing| format!("times measured by the {timing}; spread: slowest minus fastest")));
        lines.extend(self.disturbance());
        if !self.failures.is_empty() {
            lines.extend([String::new(), "not measured:".to_owned()]);
        }
        lines.extend(self.failures.iter().map(|Failure { id, error }| format!("{id}: {error}")));
        lines
    }

    /// The signs that other load disturbed the machine, if any.
    fn disturbance(&self) -> Option<String> {
        let [before, after] = self.peaks;
        let changed = (before.change(after) > CHANGE).then(|| format!("its {before} became {after}"));
        let spreads = self.kernels.iter().map(|kernel| kernel.spread);
        let spreads: Vec<f64> = spreads.chain(self.trainings.iter().map(|trained| trained.spread)).collect();
        let wide = spreads.iter().filter(|&&spread| spread > SPREAD).count();
        // The shortest ops vary even on an idle machine.
        let scattered = (4 * wide > spreads.len())
            .then(|| format!("{wide} of {} times spread by more than {:.0} %", spreads.len(), 100.0 * SPREAD));
        let signs: Vec<String> = changed.into_iter().chain(scattered).collect();
        (!signs.is_empty()).then(|| {
            let signs = signs.join(", and ");
            format!("the machine was disturbed: {signs}; close other programs, or wait until it is cool, and run again")
        })
    }

    fn json(&self, device: &Device) -> Value {
        let peak = self.peaks[0].max(self.peaks[1]);
        let kernel = |measured: &Measured| {
            let mut value = json!(measured);
            value["share_of_peak"] = measured.share(&peak).into();
            value
        };
        let training = |trained: &Trained| {
            json!({
                "id": trained.id, "batch_size": trained.batch_size, "images_per_second": trained.images_per_second,
                "median_images_per_second": trained.median_images_per_second, "spread": trained.spread,
                "first_step_seconds": trained.first_step.as_secs_f64(),
            })
        };
        json!({
            "device": devices::json(device.info()),
            "peak": peak,
            "timing": self.timing.map(|timing| timing.to_string()),
            "kernels": self.kernels.iter().map(kernel).collect::<Vec<_>>(),
            "trainings": self.trainings.iter().map(training).collect::<Vec<_>>(),
            "disturbance": self.disturbance(),
            "failures": self.failures.iter().map(|Failure { id, error }| json!({ "id": id, "error": error })).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn report() -> Report {
        Report::new(Peak { flops_per_second: 1e9, bytes_per_second: 1e9 })
    }

    #[test]
    fn what_could_not_be_measured_is_told_in_the_table_and_in_json() {
        let device = Device::cpu().unwrap();
        let mut report = report();
        assert_eq!(report.end(), [""]);
        report.failures.push(Failure { id: "conv2d/lenet.conv1".to_owned(), error: "the device was lost".to_owned() });
        assert!(
            report.end().ends_with(&["not measured:", "conv2d/lenet.conv1: the device was lost"].map(str::to_owned))
        );
        let expected = json!([{ "id": "conv2d/lenet.conv1", "error": "the device was lost" }]);
        assert_eq!(report.json(&device)["failures"], expected);
    }

    #[test]
    fn a_disturbed_machine_is_told_by_its_peak_and_by_spreads() {
        let trained = |spread| {
            let (id, first_step, images_per_second) = ("training/lenet".to_owned(), Duration::ZERO, 1.254);
            Trained { id, batch_size: 128, images_per_second, median_images_per_second: 1.2, spread, first_step }
        };
        let mut quiet = report();
        quiet.trainings.extend([0.05, 0.02, 0.04, 0.03, 0.9].map(trained));
        assert_eq!(quiet.disturbance(), None);
        let mut slower = report();
        slower.peaks[1].flops_per_second = 0.5e9;
        assert!(
            slower.disturbance().unwrap().contains("its peak 1 GFLOP/s and 1.0 GB/s became peak"),
            "{:?}",
            slower.end()
        );
        let mut scattered = report();
        scattered.trainings.extend([0.05, 0.9].map(trained));
        assert!(scattered.disturbance().unwrap().contains("1 of 2 times spread by more than 30 %"));
        assert_eq!(trained(0.25).line(), "training/lenet                         1.25   25 %           0.00");
    }
}
