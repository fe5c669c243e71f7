//! The errors of devices.

/// An error of a device.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No device matches the name, or there is none at all.
    #[error("no device matches `{wanted}`; available devices: {}", if .found.is_empty() { "none (install a Vulkan driver, for example Mesa's lavapipe)".to_owned() } else { .found.join(", ") })]
    NotFound {
        /// The requested device.
        wanted: String,
        /// The names of the available devices.
        found: Vec<String>,
    },
    /// The device's memory is full.
    #[error("{device} is out of memory: {what}; use a smaller batch, or close other programs that use the device")]
    OutOfMemory {
        /// The device's name.
        device: String,
        /// The allocation that failed.
        what: String,
    },
    /// A buffer exceeds the device's largest buffer size.
    #[error(
        "{device}: `{label}` needs {bytes} bytes, the device's limit is {limit} bytes; use a smaller batch, a smaller model or a device with a larger max_buffer_size"
    )]
    BufferTooLarge {
        /// The device's name.
        device: String,
        /// The label of the buffer.
        label: String,
        /// The size that is needed, in bytes.
        bytes: u64,
        /// The device's limit, in bytes.
        limit: u64,
    },
    /// The device is lost: unplugged, reset by its driver, or destroyed by the host app.
    #[error("{device} was lost: {reason}; unsaved weights are gone; restart from the last saved model")]
    Lost {
        /// The device's name.
        device: String,
        /// The driver's message.
        reason: String,
    },
    /// A shader is invalid, or the driver fails to compile it.
    #[error("{kernel} does not compile on {device}: {message}")]
    Shader {
        /// The device's name.
        device: String,
        /// The kernel's name.
        kernel: String,
        /// The compiler's message.
        message: String,
    },
    /// A kernel accessed a tensor out of bounds. Nothing was read or written there, but the results of the run are
    /// invalid.
    #[error(
        "{kernel} in `{scope}` on {device} accessed memory outside `{variable}`, at word {word}; expected 4-byte words below {words}, the tensor's size: the kernel's indices or the call's workgroups are wrong"
    )]
    OutOfBounds {
        /// The device's name.
        device: String,
        /// The scope of the call's node, usually a layer's name.
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
    /// A request violates a rule of the device.
    #[error("{device}: {message}")]
    Invalid {
        /// The device's name.
        device: String,
        /// The rule and its violation.
        message: String,
    },
}
