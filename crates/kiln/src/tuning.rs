//! Selection of the fastest kernels of a device, measured once and cached in a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs};

use kiln_graph::{Choice, Choices, DeviceInfo, Graph, Plan};

use crate::saving::write_atomically;
use crate::{Device, Error, OpProgram, Precision, Result, UnknownName};

/// The environment variable for the selection of kernels: a [`Tune`] in lower case, by default `cached`.
pub const TUNE_VARIABLE: &str = "KILN_TUNE";

/// The selection between bit-identical kernels, such as tiles in registers or in workgroup memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tune {
    /// By heuristics only.
    Off,
    /// By earlier measurements on this device, else by heuristics.
    #[default]
    Cached,
    /// By earlier measurements; missing ones are made now, for at most a few seconds per program.
    Full,
}

impl FromStr for Tune {
    type Err = UnknownName;

    /// The way of this name; [`Tune::Cached`] for an empty text.
    fn from_str(text: &str) -> std::result::Result<Tune, UnknownName> {
        match text.trim() {
            "off" => Ok(Tune::Off),
            "" | "cached" => Ok(Tune::Cached),
            "full" => Ok(Tune::Full),
            _ => Err(UnknownName::new(&["off", "cached", "full"], text)),
        }
    }
}

/// The time limit of measurements per program, except for the first choice; the next program or process continues.
const BUDGET: Duration = Duration::from_secs(5);
/// The time to measure each kernel of a choice, after a warm-up.
const SAMPLE: Duration = Duration::from_millis(40);
/// The number of samples, of which the fastest is used.
const SAMPLES: u32 = 4;

/// The measured choices of a device.
#[derive(Debug)]
pub(crate) struct Tuning {
    /// Overrides the environment variable.
    tune: Option<Tune>,
    file: Option<PathBuf>,
    /// `None` until the file is read.
    choices: Mutex<Option<Choices>>,
}

impl Tuning {
    /// The environment's setting, with Kiln's cache folder.
    pub(crate) fn of(info: &DeviceInfo) -> Tuning {
        Tuning::new(None, crate::cache_folder("kernels").as_deref(), info)
    }

    pub(crate) fn new(tune: Option<Tune>, folder: Option<&Path>, info: &DeviceInfo) -> Tuning {
        let file = folder.map(|folder| folder.join(file_name(info)));
        Tuning { tune, file, choices: Mutex::new(None) }
    }

    /// [`Device::plan`].
    pub(crate) fn plan(&self, device: &Device, graph: &Graph) -> Result<Plan> {
        let limits = &device.limits()?;
        let tune = match self.tune {
            Some(tune) => tune,
            None => {
                env::var(TUNE_VARIABLE).unwrap_or_default().parse().map_err(|UnknownName { expected, found }| {
                    Error::Argument { name: TUNE_VARIABLE, expected: format!("one of {expected}"), found }
                })?
            }
        };
        if tune == Tune::Off {
            return Ok(Plan::new(graph, limits)?);
        }
        let mut choices = self.choices();
        let choices = choices.get_or_insert_with(|| self.file.as_deref().map(read).unwrap_or_default());
        let plan = Plan::with(graph, limits, choices)?;
        if tune == Tune::Cached || !measure_unknown(device, &plan.choices, choices) {
            return Ok(plan);
        }
        if let Some(file) = &self.file {
            write(file, choices);
        }
        Ok(Plan::with(graph, limits, choices)?)
    }

    fn choices(&self) -> MutexGuard<'_, Option<Choices>> {
        self.choices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Measures unknown choices within the budget. Returns whether there were any.
fn measure_unknown(device: &Device, made: &[Choice], choices: &mut Choices) -> bool {
    let start = Instant::now();
    let unknown: Vec<&Choice> = made.iter().filter(|choice| choices.get(choice).is_none()).collect();
    let mut measured = 0;
    for choice in &unknown {
        // The first is measured completely, so that slow drivers make progress, too.
        let goes_on = || measured == 0 || start.elapsed() < BUDGET;
        let Some(place) = fastest(device, choice, &goes_on) else { continue };
        choices.set(choice, place);
        measured += 1;
    }
    if measured > 0 {
        tracing::info!(device = device.info().name, measured, left = unknown.len() - measured, "kernels were measured");
    }
    measured > 0
}

/// The index of the fastest kernel; `None` if none runs alone, or time is up.
fn fastest(device: &Device, choice: &Choice, goes_on: &dyn Fn() -> bool) -> Option<usize> {
    if !goes_on() {
        return None;
    }
    // Pipelines are created in parallel, because drivers are slow.
    let ready: Vec<_> = std::thread::scope(|scope| {
        let make = |place| scope.spawn(move || ready(device, choice, place));
        let making: Vec<_> = (0..choice.kernels.len()).map(make).collect();
        making.into_iter().map(|thread| thread.join().ok()).collect()
    });
    let mut best: Option<(usize, f64)> = None;
    for ((place, kernel), program) in choice.kernels.iter().enumerate().zip(ready) {
        if !goes_on() {
            return None;
        }
        match program?.and_then(|mut program| seconds(&mut program)) {
            Ok(seconds) => {
                tracing::debug!(kernel = kernel.name, op = choice.op.name(), seconds, "measured");
                if best.is_none_or(|(_, least)| seconds < least) {
                    best = Some((place, seconds));
                }
            }
            Err(error) => tracing::debug!(kernel = kernel.name, op = choice.op.name(), %error, "cannot be measured"),
        }
    }
    best.map(|(place, _)| place)
}

/// The op of a choice with one of its kernels, on uninitialised memory.
fn ready(device: &Device, choice: &Choice, place: usize) -> Result<OpProgram> {
    let mut choices = Choices::default();
    choices.set(choice, place);
    let plan = |graph: &Graph| Ok(Plan::with(graph, &device.limits()?, &choices)?);
    OpProgram::unwritten(device, choice.op.clone(), &choice.inputs, &[], Precision::Float32, plan)
}

/// The best time of a run.
fn seconds(program: &mut OpProgram) -> Result<f64> {
    program.run(1)?;
    let once = program.run(1)?;
    let runs = (SAMPLE.as_secs_f64() / f64::from(SAMPLES) / once.as_secs_f64().max(1e-9)).clamp(1.0, 64.0) as u64;
    let mut best = once.as_secs_f64();
    for _ in 0..SAMPLES {
        best = best.min(program.run(runs)?.as_secs_f64() / runs as f64);
    }
    Ok(best)
}

/// The name of a device's file: from its name, backend and driver.
fn file_name(info: &DeviceInfo) -> String {
    let words = [&info.name, &info.backend, &info.driver].map(|text| {
        let letter = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        text.chars().map(letter).collect::<String>()
    });
    format!("{}.json", words.join("_"))
}

/// The choices in a file; empty if it is missing or damaged.
fn read(file: &Path) -> Choices {
    let read = || serde_json::from_slice::<BTreeMap<String, String>>(&fs::read(file).ok()?).ok();
    Choices::new(read().unwrap_or_default())
}

/// Writes the choices. Errors only cost time, so they are ignored.
fn write(file: &Path, choices: &Choices) {
    let made: BTreeMap<&str, &str> = choices.iter().collect();
    let text = serde_json::to_vec_pretty(&made).map_err(|error| error.to_string());
    let written = text.and_then(|text| {
        let folder = file.parent().map_or(Ok(()), fs::create_dir_all);
        folder.map_err(|error| error.to_string())?;
        write_atomically(file, &text).map_err(|error| error.to_string())
    });
    if let Err(error) = written {
        tracing::debug!(file = %file.display(), error, "the measurements are not saved");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_environment_says_off_cached_or_full() {
        assert_eq!("".parse::<Tune>().unwrap(), Tune::Cached);
        assert_eq!("off".parse::<Tune>().unwrap(), Tune::Off);
        assert_eq!(" full\n".parse::<Tune>().unwrap(), Tune::Full);
        let error = "fast".parse::<Tune>().unwrap_err().to_string();
        assert_eq!(error, "expected one of off, cached, full; found `fast`");
    }
}
