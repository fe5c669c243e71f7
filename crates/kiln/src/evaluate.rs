//! Evaluation batch by batch, of which callbacks are told.

use std::ops::ControlFlow;

use crate::Result;
use crate::callbacks::{Callback, TestBatchLogs, tell};
use crate::data::Dataset;
use crate::network::Node;
use crate::session::{Mode, Pass, Role, Session, Totals};

/// The loss and the metrics of all samples of a data set, which enter at a node, or of those until a callback broke.
///
/// # Errors
/// When the data set does not fit the model, or a program cannot be made or run.
pub(crate) fn evaluate(
    session: &mut Session,
    (entry, data): (Node, &Dataset),
    batch: usize,
    callbacks: &mut [&mut dyn Callback],
) -> Result<(Totals, ControlFlow<()>)> {
    session.load(Role::Test, data, entry)?;
    let mut totals = session.totals();
    let mut flow = ControlFlow::Continue(());
    let mut pass = Pass::over(session, Mode::Evaluate, Role::Test, batch)?;
    while let Some(landed) = pass.next(session, flow.is_continue())? {
        for batch in session.batches(&landed) {
            totals.add(&batch);
            if flow.is_continue() {
                let (loss, metrics) = (totals.loss(), totals.metrics());
                let logs = TestBatchLogs { samples: totals.samples, all_samples: data.len(), loss, metrics };
                flow = tell(callbacks, |callback| callback.on_test_batch_end(&logs));
            }
        }
    }
    Ok((totals, flow))
}
