//! What can go wrong on a device.

/// What can go wrong on a device.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No device answers to the name, or there is none at all.
    #[error("no device matches `{wanted}`; there are: {}", if .found.is_empty() { "none (install a Vulkan driver, for example Mesa's lavapipe)".to_owned() } else { .found.join(", ") })]
    NotFound {
        /// What was asked for.
        wanted: String,
        /// The names of those that are there.
        found: Vec<String>,
    },
    /// The device's memory is full.
    #[error("{device} is out of memory: {what}; use a smaller batch, or close what else uses the device")]
    OutOfMemory {
        /// The device's name.
        device: String,
        /// What could not be had.
        what: String,
    },
    /// A buffer is larger than any that the device makes.
    #[error(
        "{device}: `{label}` needs {bytes} bytes, the device makes buffers of at most {limit} bytes; use a smaller batch, a smaller model or a device with a larger max_buffer_size"
    )]
    BufferTooLarge {
        /// The device's name.
        device: String,
        /// What the buffer is called.
        label: String,
        /// The size that is needed, in bytes.
        bytes: u64,
        /// The device's limit, in bytes.
        limit: u64,
    },
    /// The device is gone: unplugged, reset by its driver, or destroyed by the host app.
    #[error("{device} was lost: {reason}; weights that were not saved are gone, start again from the last saved model")]
    Lost {
        /// The device's name.
        device: String,
        /// What the driver says.
        reason: String,
    },
    /// A shader is not valid, or the driver does not compile it.
    #[error("{kernel} does not compile on {device}: {message}")]
    Shader {
        /// The device's name.
        device: String,
        /// The kernel's name.
        kernel: String,
        /// What the compiler says.
        message: String,
    },
    /// A kernel reached outside a tensor. Nothing was read or written there, but what the run leaves is not to be used.
    #[error(
        "{kernel} in `{scope}` on {device} reached outside `{variable}`, at word {word}; expected 4-byte words below {words}, the tensor's size: the kernel's indices or the call's workgroups are wrong"
    )]
    OutOfBounds {
        /// The device's name.
        device: String,
        /// The scope of the node that the call comes from, usually a layer's name.
        scope: String,
        /// The kernel's name.
        kernel: &'static str,
        /// The name of the binding, or of the workgroup variable, in the shader.
        variable: &'static str,
        /// The first 32-bit word of the access, counted from the start of the binding.
        word: u32,
        /// The binding's size in 32-bit words.
        words: usize,
    },
    /// A request broke a rule of the device.
    #[error("{device}: {message}")]
    Invalid {
        /// The device's name.
        device: String,
        /// Which rule, and how.
        message: String,
    },
}
