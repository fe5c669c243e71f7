//! Evaluation: the loss and the metrics of a data set.

use std::ops::ControlFlow;

use kiln_graph::block_on;

use crate::callbacks::{Callback, TestBatchLogs, tell};
use crate::data::Dataset;
use crate::model::Score;
use crate::network::Node;
use crate::session::{INFERENCE_BATCH, Mode, Pass, Role, Session, Totals};
use crate::{Model, Result};

impl Model {
    /// The loss and the metrics of a data set.
    ///
    /// # Errors
    /// If the model is not compiled, or the data set does not fit the model or the device, or the device fails.
    pub async fn evaluate_async(&mut self, data: &Dataset) -> Result<Score> {
        self.evaluated(data, |_| ControlFlow::Continue(())).await.map(|(score, _)| score)
    }

    /// As [`Model::evaluate_async`], and waits.
    ///
    /// # Errors
    /// As [`Model::evaluate_async`].
    pub fn evaluate(&mut self, data: &Dataset) -> Result<Score> {
        block_on(self.evaluate_async(data))
    }

    /// The loss and the metrics of a data set, or `None` if a callback stopped the evaluation. Callbacks are called after
    /// each batch.
    ///
    /// # Errors
    /// As [`Model::evaluate_async`].
    pub fn evaluate_with_callbacks(
        &mut self,
        data: &Dataset,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<Option<Score>> {
        let on_batch = |logs: &TestBatchLogs| tell(callbacks, |callback| callback.on_test_batch_end(logs));
        block_on(self.evaluated(data, on_batch)).map(|(score, flow)| flow.is_continue().then_some(score))
    }

    async fn evaluated(
        &mut self,
        data: &Dataset,
        on_batch: impl FnMut(&TestBatchLogs) -> ControlFlow<()>,
    ) -> Result<(Score, ControlFlow<()>)> {
        self.check_data("evaluate", data)?;
        let inputs = self.inputs();
        let (totals, flow) = evaluate(self.session("evaluate")?, (&inputs, data), INFERENCE_BATCH, on_batch).await?;
        Ok((Score { loss: totals.loss(), metrics: totals.metrics() }, flow))
    }
}

/// The loss and the metrics of all samples of a data set that enter at these nodes, or of those until `on_batch` broke.
///
/// # Errors
/// If the data set does not fit the model, or a program cannot be compiled or run.
pub(crate) async fn evaluate(
    session: &mut Session,
    (entry, data): (&[Node], &Dataset),
    batch: usize,
    mut on_batch: impl FnMut(&TestBatchLogs) -> ControlFlow<()>,
) -> Result<(Totals, ControlFlow<()>)> {
    session.load(Role::Test, data, entry)?;
    let mut totals = session.totals();
    let mut flow = ControlFlow::Continue(());
    let mut pass = Pass::over(session, Mode::Evaluate, Role::Test, batch)?;
    while let Some(landed) = pass.next(session, flow.is_continue()).await? {
        for batch in session.batches(&landed) {
            totals.add(&batch);
            if flow.is_continue() {
                let (loss, metrics) = (totals.loss(), totals.metrics());
                flow = on_batch(&TestBatchLogs { samples: totals.samples, all_samples: data.len(), loss, metrics });
            }
        }
    }
    Ok((totals, flow))
}
