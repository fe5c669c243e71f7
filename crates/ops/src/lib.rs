//! Kiln's ops, one file each: shape rule, lowering to the kernels of `shaders/`, gradient, f64 reference and cases.
//!
//! An op is `shaders/NAME.wgsl`, `src/NAME.rs` and its name in the list below. kiln-build makes the typed kernels that
//! the lowerings call, so a binding or parameter that is renamed in WGSL does not compile here until it is renamed too.
//! This crate sees no device.

macro_rules! ops {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*

        /// The cases of every op: inputs on which a device's results are checked against the f64 reference.
        pub fn cases() -> Vec<Case> {
            let mut cases = Vec::new();
            $(cases.extend($name::cases());)*
            cases
        }
    };
}

ops![
    accumulate,
    activation,
    adadelta,
    adagrad,
    adam,
    augment_color,
    augment_draw,
    augment_warp,
    avg_pool2d,
    batch_norm,
    batch_norm_gradient,
    clip_by_norm,
    clip_by_value,
    concatenate,
    conv2d,
    conv2d_input_gradient,
    conv2d_weight_gradient,
    copy,
    cross_entropy,
    divide,
    dropout,
    elu,
    ema,
    fill,
    fused,
    gather,
    global_avg_pool2d,
    global_max_pool2d,
    image_statistics,
    matmul,
    max_pool2d,
    mean_loss,
    moments,
    moving_average,
    multiply,
    nadam,
    pad,
    per_sample,
    penalty,
    record,
    relu,
    rescale,
    rmsprop,
    scale_add,
    sgd,
    soft_targets,
    softmax,
    softmax_cross_entropy,
    standardize,
    sum,
    top_k,
    transpose,
    unary,
    unfold,
    weight_decay,
    zero_pad2d,
];

mod case;
mod gradients;
mod nan;
mod random;
mod tiles;
mod window;

mod kernels {
    //! What kiln-build makes of `shaders/`.
    include!(concat!(env!("OUT_DIR"), "/kernels.rs"));
}

pub use accumulate::Accumulate;
pub use activation::{Activation, ActivationGradient, Function};
pub use adadelta::Adadelta;
pub use adagrad::Adagrad;
pub use adam::Adam;
pub use augment_color::AugmentColor;
pub use augment_draw::{AugmentDraw, Shift};
pub use augment_warp::{AugmentWarp, FillMode};
pub use avg_pool2d::{AvgPool2d, AvgPool2dGradient};
pub use batch_norm::{BatchNorm, BatchNormInference};
pub use batch_norm_gradient::{BatchNormInputGradient, BatchNormSums};
pub use case::Case;
pub use clip_by_norm::ClipByNorm;
pub use clip_by_value::ClipByValue;
pub use concatenate::{Concatenate, ConcatenateGradient};
pub use conv2d::Conv2d;
pub use conv2d_input_gradient::Conv2dInputGradient;
pub use conv2d_weight_gradient::Conv2dWeightGradient;
pub use copy::Copy;
pub use cross_entropy::{CrossEntropy, CrossEntropyGradient};
pub use divide::Divide;
pub use dropout::Dropout;
pub use elu::{Elu, EluGradient};
pub use ema::Ema;
pub use fill::Fill;
pub use gather::Gather;
pub use global_avg_pool2d::{GlobalAvgPool2d, GlobalAvgPool2dGradient};
pub use global_max_pool2d::{GlobalMaxPool2d, GlobalMaxPool2dGradient};
pub use gradients::gradients;
pub use image_statistics::ImageStatistics;
pub use kernels::KERNELS;
pub use matmul::Matmul;
pub use max_pool2d::{MaxPool2d, MaxPool2dGradient};
pub use mean_loss::{Distance, MeanLoss, MeanLossGradient};
pub use moments::Moments;
pub use moving_average::MovingAverage;
pub use multiply::Multiply;
pub use nadam::Nadam;
pub use pad::Pad;
pub use penalty::{Penalty, PenaltyGradient};
pub use per_sample::{PerSample, PerSampleGradient};
pub use record::Record;
pub use relu::{Relu, ReluGradient};
pub use rescale::Rescale;
pub use rmsprop::RmsProp;
pub use scale_add::ScaleAdd;
pub use sgd::Sgd;
pub use soft_targets::SoftTargets;
pub use softmax::{Softmax, SoftmaxGradient};
pub use softmax_cross_entropy::{SoftmaxCrossEntropy, SoftmaxCrossEntropyGradient};
pub use standardize::{StandardizeFeatures, StandardizeSamples};
pub use sum::{Sum, SumGradient, SumRows};
pub use top_k::TopK;
pub use transpose::Transpose;
pub use unary::{Unary, UnaryGradient};
pub use unfold::Unfold;
pub use weight_decay::WeightDecay;
pub use window::Padding;
pub use zero_pad2d::{ZeroPad2d, ZeroPad2dGradient};
