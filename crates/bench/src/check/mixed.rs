//! A training in mixed precision.

use kiln::{Compile, Device, LossScale, Precision, Result, models};

use super::twice::{different, train};
use super::{Check, Outcome};
use crate::made_up;

/// The largest difference of a prediction to f32, after as few steps as here.
const ALLOWED: f32 = 0.02;

/// Two trainings in mixed precision must be bit-identical and near the one in f32, and a step whose gradients overflow must
/// change nothing but the loss scale.
pub fn check() -> Check {
    Check::new("training in mixed precision", |device| {
        let (first, second) = (train(device, Precision::Mixed)?, train(device, Precision::Mixed)?);
        let mut problems = different(&first, &second);
        let single = train(device, Precision::Float32)?;
        let predictions = |bits: &[(String, Vec<u32>)]| {
            let found = bits.iter().find(|(name, _)| name == "predictions");
            found.map_or(Vec::new(), |(_, bits)| bits.iter().map(|&bits| f32::from_bits(bits)).collect())
        };
        let (mixed, single) = (predictions(&first), predictions(&single));
        let off = mixed.iter().zip(&single).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
        if mixed.is_empty() || !mixed.iter().all(|value| value.is_finite()) || off > ALLOWED {
            problems.push(format!("predictions differ from those in f32 by {off:.1e}, more than {ALLOWED}"));
        }
        problems.extend(skipped(device)?);
        Ok(Outcome { extent: "2 epochs, a skipped step".to_owned(), error: Some(f64::from(off)), problems })
    })
}

/// The problem of a step that is to be skipped, if any.
fn skipped(device: &Device) -> Result<Option<String>> {
    let mut model = models::lenet([28, 28, 1], 10);
    let compile = Compile { precision: Precision::Mixed, metrics: vec![], ..Compile::default() };
    model.compile(device, compile)?;
    let data = made_up(&model, 8, &kiln::losses::SparseCategoricalCrossentropy::default())?;
    let before = model.get_weights()?;
    let scale = 2f32.powi(100);
    model.set_loss_scale(LossScale { scale, ..LossScale::default() })?;
    model.train_on_batch(&data)?;
    let found = model.loss_scale()?;
    let expected = LossScale { scale: scale / 2.0, finite_steps: 0, skipped_steps: 1 };
    let unchanged = model.get_weights()?.iter().zip(&before).all(|(a, b)| a.values == b.values);
    let as_expected = unchanged && found == Some(expected);
    Ok((!as_expected).then(|| format!("a step with gradients that overflow: weights kept {unchanged}, then {found:?}")))
}
