//! The optimizer of `kiln train` and its options.

use std::sync::Arc;

use clap::ValueEnum;
use kiln::Compile;
use kiln::optimizers::{Adadelta, Adagrad, Adam, AdamW, LearningRate, Nadam, Optimizer, RMSprop, SGD, WeightDecay};

use super::arguments::{positive, share};
use super::schedule::{Length, Schedule};
use crate::commands::network::Known;
use crate::error::Error;

/// Optimizer options.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Optimizer options")]
pub struct OptimizerArguments {
    /// The optimizer [default: rmsprop for cifar10_simple and cifar10_deep, else adam].
    #[arg(long, value_enum)]
    optimizer: Option<Rule>,
    /// The learning rate [default: Keras' for the optimizer: 0.001, but 0.01 for sgd].
    #[arg(long, value_parser = positive, allow_negative_numbers = true, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// The learning-rate schedule: cosine, cosine-restarts, exponential, inverse-time, polynomial or piecewise,
    /// optionally followed by a colon and Keras' arguments as name=value; …_epochs may replace …_steps.
    #[arg(long, value_parser = Schedule::parse, value_name = "NAME[:SPEC]", conflicts_with = "decay")]
    schedule: Option<Schedule>,
    /// Divide the learning rate by 1 + DECAY times the number of steps, as decay in Keras 2.
    #[arg(long, value_parser = not_negative, allow_negative_numbers = true, value_name = "DECAY")]
    decay: Option<f64>,
    /// The momentum of sgd and rmsprop [default: 0].
    #[arg(long, value_parser = share, allow_negative_numbers = true, value_name = "SHARE")]
    momentum: Option<f64>,
    /// Use Nesterov momentum: sgd.
    #[arg(long)]
    nesterov: bool,
    /// The decay rate of the mean squared gradient: rmsprop [default: 0.9] and adadelta [default: 0.95].
    #[arg(long, value_parser = share, allow_negative_numbers = true, value_name = "SHARE")]
    rho: Option<f64>,
    /// The decay rate of the mean gradient: adam, adamw and nadam [default: 0.9].
    #[arg(long = "beta-1", value_parser = share, allow_negative_numbers = true, value_name = "SHARE")]
    beta_1: Option<f64>,
    /// The decay rate of the mean squared gradient: adam, adamw and nadam [default: 0.999].
    #[arg(long = "beta-2", value_parser = share, allow_negative_numbers = true, value_name = "SHARE")]
    beta_2: Option<f64>,
    /// The constant added for numerical stability: all but sgd [default: 1e-7].
    #[arg(long, value_parser = not_negative, allow_negative_numbers = true, value_name = "EPSILON")]
    epsilon: Option<f64>,
    /// Add epsilon outside the square root, as Keras 2, not inside it, as Keras 3: rmsprop.
    #[arg(long)]
    epsilon_outside_root: bool,
    /// Normalize gradients by their variance instead of their mean square: rmsprop.
    #[arg(long)]
    centered: bool,
    /// Use the AMSGrad variant, which divides by the largest mean square so far: adam and adamw.
    #[arg(long)]
    amsgrad: bool,
    /// The initial value of the sum of squared gradients: adagrad [default: 0.1].
    #[arg(long, value_parser = not_negative, allow_negative_numbers = true, value_name = "VALUE")]
    initial_accumulator_value: Option<f64>,
    /// The weight decay, scaled by the learning rate [default: 0, but 0.004 for adamw].
    #[arg(long, value_parser = not_negative, allow_negative_numbers = true, value_name = "RATE")]
    weight_decay: Option<f64>,
    /// Variables without weight decay: parts of their names, for example bias,gamma,beta, or layer/variable.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    exclude_from_weight_decay: Vec<String>,
    /// Clip each element of the gradients to this absolute value.
    #[arg(long, value_parser = positive, allow_negative_numbers = true, value_name = "LIMIT", conflicts_with_all = ["clip_norm", "global_clip_norm"])]
    clip_value: Option<f64>,
    /// Clip the norm of each variable's gradient.
    #[arg(long, value_parser = positive, allow_negative_numbers = true, value_name = "LIMIT", conflicts_with = "global_clip_norm")]
    clip_norm: Option<f64>,
    /// Clip the norm of all gradients together.
    #[arg(long, value_parser = positive, allow_negative_numbers = true, value_name = "LIMIT")]
    global_clip_norm: Option<f64>,
    /// Keep an exponential moving average of the weights with this momentum, which replaces the weights at the end
    /// [default: 0.99].
    #[arg(long, value_parser = share, allow_negative_numbers = true, value_name = "MOMENTUM", num_args = 0..=1, default_missing_value = "0.99")]
    ema: Option<f64>,
    /// Also replace the weights by their moving average every N steps.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), allow_negative_numbers = true, value_name = "N", requires = "ema")]
    ema_overwrite_frequency: Option<u32>,
}

/// Keras' optimizers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rule {
    Adadelta,
    Adagrad,
    Adam,
    Adamw,
    Nadam,
    Rmsprop,
    Sgd,
}

impl Rule {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

fn not_negative(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if number.is_finite() && number >= 0.0 { Ok(number) } else { Err("expected 0 or more".to_owned()) }
}

impl OptimizerArguments {
    /// The conflict between options for a network of this name, if any.
    pub fn conflict(&self, model: &str) -> Option<String> {
        let rule = self.rule(model);
        for (option, given, rules) in self.special() {
            if given && !rules.contains(&rule) {
                let names: Vec<String> = rules.iter().map(|rule| rule.name()).collect();
                let usual = if self.optimizer.is_none() { ", which is the default" } else { "" };
                let (names, found) = (names.join(" or "), rule.name());
                return Some(format!("{option} is for --optimizer {names}; found {found}{usual}"));
            }
        }
        if self.nesterov && self.momentum.unwrap_or(0.0) == 0.0 {
            return Some("--nesterov needs a --momentum above 0".to_owned());
        }
        let decays = self.weight_decay.map_or(rule == Rule::Adamw, |rate| rate > 0.0);
        if !self.exclude_from_weight_decay.is_empty() && !decays {
            return Some("--exclude-from-weight-decay needs a --weight-decay above 0".to_owned());
        }
        match &self.schedule {
            Some(schedule) if schedule.has_rates() && self.learning_rate.is_some() => {
                Some(format!("--schedule {schedule} sets the learning rates; remove --learning-rate"))
            }
            _ => None,
        }
    }

    /// Whether the learning rate has a schedule.
    pub fn is_scheduled(&self) -> bool {
        self.schedule.is_some() || self.decay.is_some()
    }

    /// The options that only some optimizers have: whether they are set, and those optimizers.
    fn special(&self) -> [(&'static str, bool, &'static [Rule]); 10] {
        use Rule::{Adadelta, Adagrad, Adam, Adamw, Nadam, Rmsprop, Sgd};
        [
            ("--momentum", self.momentum.is_some(), &[Sgd, Rmsprop]),
            ("--nesterov", self.nesterov, &[Sgd]),
            ("--rho", self.rho.is_some(), &[Rmsprop, Adadelta]),
            ("--beta-1", self.beta_1.is_some(), &[Adam, Adamw, Nadam]),
            ("--beta-2", self.beta_2.is_some(), &[Adam, Adamw, Nadam]),
            ("--epsilon", self.epsilon.is_some(), &[Adadelta, Adagrad, Adam, Adamw, Nadam, Rmsprop]),
            ("--epsilon-outside-root", self.epsilon_outside_root, &[Rmsprop]),
            ("--centered", self.centered, &[Rmsprop]),
            ("--amsgrad", self.amsgrad, &[Adam, Adamw]),
            ("--initial-accumulator-value", self.initial_accumulator_value.is_some(), &[Adagrad]),
        ]
    }

    /// Optimizer, clipping and moving average for a network of this name; all other fields are the defaults.
    ///
    /// # Errors
    /// If the schedule does not fit the length of the training.
    pub fn compile(&self, model: &str, length: Length) -> Result<Compile, Error> {
        let default = Compile::default();
        Ok(Compile {
            optimizer: self.optimizer(model, length)?,
            clipvalue: self.clip_value,
            clipnorm: self.clip_norm,
            global_clipnorm: self.global_clip_norm,
            use_ema: self.ema.is_some(),
            ema_momentum: self.ema.unwrap_or(default.ema_momentum),
            ema_overwrite_frequency: self.ema_overwrite_frequency,
            ..default
        })
    }

    fn optimizer(&self, model: &str, length: Length) -> Result<Arc<dyn Optimizer>, Error> {
        let rate = |default: &dyn Optimizer| self.rate(default, length);
        let decay = |default: &WeightDecay| {
            let decay = self.weight_decay.map_or_else(|| default.clone(), WeightDecay::from);
            decay.exclude_from_weight_decay(self.exclude_from_weight_decay.iter().cloned())
        };
        let momentum = self.momentum.unwrap_or(0.0);
        Ok(match self.rule(model) {
            Rule::Adadelta => {
                let default = Adadelta::default();
                Adadelta {
                    learning_rate: rate(&default)?,
                    rho: self.rho.unwrap_or(default.rho),
                    epsilon: self.epsilon.unwrap_or(default.epsilon),
                    weight_decay: decay(&default.weight_decay),
                }
                .into()
            }
            Rule::Adagrad => {
                let default = Adagrad::default();
                let initial = self.initial_accumulator_value;
                Adagrad {
                    learning_rate: rate(&default)?,
                    initial_accumulator_value: initial.unwrap_or(default.initial_accumulator_value),
                    epsilon: self.epsilon.unwrap_or(default.epsilon),
                    weight_decay: decay(&default.weight_decay),
                }
                .into()
            }
            Rule::Adam => {
                let default = Adam::default();
                Adam {
                    learning_rate: rate(&default)?,
                    beta_1: self.beta_1.unwrap_or(default.beta_1),
                    beta_2: self.beta_2.unwrap_or(default.beta_2),
                    epsilon: self.epsilon.unwrap_or(default.epsilon),
                    amsgrad: self.amsgrad,
                    weight_decay: decay(&default.weight_decay),
                }
                .into()
            }
            Rule::Adamw => {
                let default = AdamW::default();
                AdamW {
                    learning_rate: rate(&default)?,
                    weight_decay: decay(&default.weight_decay),
                    beta_1: self.beta_1.unwrap_or(default.beta_1),
                    beta_2: self.beta_2.unwrap_or(default.beta_2),
                    epsilon: self.epsilon.unwrap_or(default.epsilon),
                    amsgrad: self.amsgrad,
                }
                .into()
            }
            Rule::Nadam => {
                let default = Nadam::default();
                Nadam {
                    learning_rate: rate(&default)?,
                    beta_1: self.beta_1.unwrap_or(default.beta_1),
                    beta_2: self.beta_2.unwrap_or(default.beta_2),
                    epsilon: self.epsilon.unwrap_or(default.epsilon),
                    weight_decay: decay(&default.weight_decay),
                }
                .into()
            }
            Rule::Rmsprop => {
                let default = RMSprop::default();
                RMSprop {
                    learning_rate: rate(&default)?,
                    rho: self.rho.unwrap_or(default.rho),
                    momentum,
                    epsilon: self.epsilon.unwrap_or(default.epsilon),
                    epsilon_under_root: !self.epsilon_outside_root,
                    centered: self.centered,
                    weight_decay: decay(&default.weight_decay),
                }
                .into()
            }
            Rule::Sgd => {
                let default = SGD::default();
                let (learning_rate, weight_decay) = (rate(&default)?, decay(&default.weight_decay));
                SGD { learning_rate, momentum, nesterov: self.nesterov, weight_decay }.into()
            }
        })
    }

    /// The learning rate or its schedule.
    fn rate(&self, default: &dyn Optimizer, length: Length) -> Result<LearningRate, Error> {
        let initial = match default.learning_rate() {
            LearningRate::Constant(rate) => self.learning_rate.unwrap_or(*rate),
            scheduled => self.learning_rate.unwrap_or(scheduled.at(0).into()),
        };
        let problem = |problem| Error::Option { option: "--schedule", problem };
        match (&self.schedule, self.decay) {
            (Some(schedule), _) => schedule.learning_rate(initial, length).map_err(problem),
            (None, Some(decay)) => Ok(Schedule::keras_2_decay(initial, decay)),
            (None, None) => Ok(initial.into()),
        }
    }

    fn rule(&self, model: &str) -> Rule {
        let of_cifar = Known::named(model).is_some_and(|known| known.data == Some("cifar10"));
        let usual = if of_cifar { Rule::Rmsprop } else { Rule::Adam };
        self.optimizer.unwrap_or(usual)
    }
}

/// Optimizer, clipping and moving average as text.
pub fn words(compile: &Compile) -> String {
    let limits = [
        ("clipvalue", compile.clipvalue),
        ("clipnorm", compile.clipnorm),
        ("global_clipnorm", compile.global_clipnorm),
    ];
    let mut words = vec![format!("{:?}", compile.optimizer)];
    words.extend(limits.iter().filter_map(|(name, limit)| limit.map(|limit| format!("{name} {limit}"))));
    if compile.use_ema {
        let every = compile.ema_overwrite_frequency.map(|steps| format!(", over the weights every {steps} steps"));
        words.push(format!("moving average with momentum {}{}", compile.ema_momentum, every.unwrap_or_default()));
    }
    words.join(", ")
}
