//! The reports of a training of several epochs, as a stream.

use std::ops::RangeInclusive;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::Stream;

use crate::Result;
use crate::model::Score;
use crate::training::{StepReport, Training};

/// A stream of the reports of several epochs: see [`Training::epochs`]. Dropping it ends the training after the steps in
/// flight.
#[derive(Debug)]
pub struct Epochs<'a> {
    training: Training<'a>,
    /// The remaining epochs.
    epochs: RangeInclusive<usize>,
    is_under_way: bool,
}

/// An item of the stream [`Epochs`].
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// A completed step.
    Step(StepReport),
    /// A completed epoch.
    Epoch(EpochReport),
}

/// The report of one epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochReport {
    /// The epoch, starting at 1.
    pub epoch: usize,
    /// The loss and metrics, averaged over the samples of all steps.
    pub score: Score,
}

impl<'a> Epochs<'a> {
    pub(crate) fn new(training: Training<'a>, epochs: RangeInclusive<usize>) -> Epochs<'a> {
        Epochs { training, epochs, is_under_way: false }
    }

    /// The training, to inspect or change between reports.
    pub fn training(&mut self) -> &mut Training<'a> {
        &mut self.training
    }

    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Result<Option<Report>>> {
        if !self.is_under_way {
            let Some(epoch) = self.epochs.next() else { return Poll::Ready(Ok(None)) };
            self.training.begin_epoch(epoch)?;
            self.is_under_way = true;
        }
        Poll::Ready(Ok(Some(match ready!(self.training.poll_next_report(task))? {
            Some(report) => Report::Step(report),
            None => {
                self.is_under_way = false;
                Report::Epoch(EpochReport { epoch: self.training.epoch, score: self.training.score() })
            }
        })))
    }
}

impl Stream for Epochs<'_> {
    type Item = Result<Report>;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Result<Report>>> {
        let this = self.get_mut();
        let report = ready!(this.poll(task));
        if report.is_err() {
            // The stream ends after an error.
            (this.epochs, this.is_under_way) = (RangeInclusive::new(1, 0), false);
        }
        Poll::Ready(report.transpose())
    }
}
