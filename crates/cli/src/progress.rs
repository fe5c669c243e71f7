//! The progress of a training: a bar per epoch on a terminal, and a line per epoch everywhere.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use kiln::{BatchLogs, Callback, EpochLogs, Model};

/// Shows progress like Keras.
pub struct Progress {
    began: Instant,
    first_step: Option<Duration>,
    epochs: Option<usize>,
    bar: ProgressBar,
}

impl Progress {
    /// Starts the clock. `epochs` is the number of epochs, if known.
    pub fn new(epochs: Option<usize>) -> Progress {
        Progress { began: Instant::now(), first_step: None, epochs, bar: ProgressBar::hidden() }
    }

    /// The time from the start until the figures of the first step were available.
    pub fn first_step(&self) -> Option<Duration> {
        self.first_step
    }

    fn heading(&self, epoch: usize) -> String {
        match self.epochs {
            Some(epochs) => format!("Epoch {epoch}/{epochs}"),
            None => format!("Epoch {epoch}"),
        }
    }
}

impl Callback for Progress {
    fn on_epoch_begin(&mut self, _: &mut Model, epoch: usize, _: usize) -> kiln::Result<ControlFlow<()>> {
        let template = "{prefix} {pos}/{len} [{wide_bar}] {eta} - {msg}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        self.bar = ProgressBar::new(0).with_style(style.progress_chars("=>.")).with_prefix(self.heading(epoch));
        Ok(ControlFlow::Continue(()))
    }

    fn on_batch_end(&mut self, logs: &BatchLogs) -> ControlFlow<()> {
        self.first_step.get_or_insert_with(|| self.began.elapsed());
        let speed = logs.samples as f64 / self.bar.elapsed().as_secs_f64().max(1e-9);
        self.bar.set_message(format!("{logs} - {} images/s", rate(speed)));
        self.bar.set_length(logs.batches as u64);
        self.bar.set_position(logs.batch as u64);
        ControlFlow::Continue(())
    }

    fn on_epoch_end(&mut self, _: &mut Model, logs: &EpochLogs) -> kiln::Result<ControlFlow<()>> {
        self.bar.finish_and_clear();
        println!("{} - {}", self.heading(logs.epoch), line(logs));
        Ok(ControlFlow::Continue(()))
    }
}

/// The figures of an epoch in Keras' format.
fn line(logs: &EpochLogs) -> String {
    let batches = logs.batch_losses.len();
    let per_step = 1000.0 * logs.seconds / batches.max(1) as f64;
    let (seconds, speed) = (logs.seconds, rate(logs.images_per_second));
    format!("{seconds:.0}s {per_step:.0}ms/step - {logs} - {speed} images/s")
}

/// A rate with about three digits: `1.25`, `12.5`, `1250`.
pub fn rate(value: f64) -> String {
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use kiln::Figures;

    use super::*;

    #[test]
    fn small_rates_have_decimals() {
        let rates = [0.049, 1.254, 9.999, 12.54, 99.99, 100.4, 1250.4].map(rate);
        assert_eq!(rates, ["0.05", "1.25", "10.0", "12.5", "100", "100", "1250"]);
    }

    #[test]
    fn an_epochs_line_has_kerases_words_and_images_per_second() {
        let logs = EpochLogs {
            epoch: 1,
            loss: 0.25,
            metrics: Figures::from([("accuracy", 0.9)]),
            seconds: 24.0,
            images_per_second: 2000.4,
            batch_losses: vec![0.5; 375],
            ..EpochLogs::default()
        };
        assert_eq!(line(&logs), "24s 64ms/step - loss: 0.2500 - accuracy: 0.9000 - 2000 images/s");
        let val_metrics = Figures::from([("val_accuracy", 0.95)]);
        let validated = EpochLogs { val_loss: Some(0.125), val_metrics, ..logs };
        assert!(line(&validated).contains(" - val_loss: 0.1250 - val_accuracy: 0.9500 - "));
    }
}
