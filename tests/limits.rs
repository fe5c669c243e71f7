//! Models too large for a device are errors before work begins.

use std::time::Duration;

use kiln::data::{Dataset, Labels};
use kiln::graph::DeviceKind;
use kiln::layers::{Activation, Conv2D, Dense, GlobalAveragePooling2D};
use kiln::{Compile, Device, Error, Fit, Model, Sequential, wgpu};

use crate::common::{bars, compiled, device, model};

/// Forty layers of 3.6 billion weights each.
fn huge() -> Model {
    let mut model = Sequential::new([60_000]).with_name("huge");
    for _ in 0..40 {
        model.add(Dense::new(60_000));
    }
    model
}

#[test]
fn weights_that_no_memory_holds_are_an_error_before_they_are_drawn() {
    let error = huge().compile(device(), Compile::default()).unwrap_err();
    assert!(matches!(error, Error::Memory { bytes, .. } if bytes > 500 << 30), "{error}");
    assert!(error.to_string().starts_with("not enough memory for the weights"), "{error}");
    assert!(matches!(huge().initialize(1), Err(Error::Memory { .. })));
    assert!(matches!(huge().get_weights(), Err(Error::Memory { .. })));
}

#[test]
fn a_batch_that_no_memory_holds_is_an_error_before_it_is_computed() {
    let mut model = Sequential::new([64, 64, 1]);
    model
        .add(Conv2D::new(20_000, [3, 3]))
        .add(GlobalAveragePooling2D::new())
        .add(Dense::new(2).activation(Activation::Softmax));
    if device().info().kind == DeviceKind::Cpu {
        let error = model.check_memory(device(), &Compile::default(), 100_000).unwrap_err().to_string();
        assert!(error.contains("and a batch of 100000 samples: 30"), "{error}");
    }
    model.compile(device(), Compile::default()).unwrap();
    let data = Dataset::from_u8([64, 64, 1], vec![0; 3000 * 4096], Labels::index(vec![0; 3000], 2)).unwrap();
    let error = model.fit(&data, Fit { batch_size: 3000, ..Fit::default() }).unwrap_err();
    assert!(matches!(error, Error::Memory { .. } | Error::BatchTooLarge { .. } | Error::Device(_)), "{error}");
}

/// An app's device with this limit of storage buffers per shader.
fn app_device(max_storage_buffers_per_shader_stage: u32) -> Device {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster(instance.request_adapter(&wgpu::RequestAdapterOptions::default())).unwrap();
    let required_limits = wgpu::Limits { max_storage_buffers_per_shader_stage, ..wgpu::Limits::default() };
    let descriptor = wgpu::DeviceDescriptor { required_limits, ..wgpu::DeviceDescriptor::default() };
    let (device, queue) = pollster(adapter.request_device(&descriptor)).unwrap();
    Device::from_wgpu(device, queue)
}

/// Waits for a future without a waker.
fn pollster<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn limits_that_are_too_weak_are_an_error_of_compile_and_not_of_fit() {
    for most in [1, 2, 3, 4, 5] {
        let device = app_device(most);
        let mut model = model();
        match model.compile(&device, Compile::default()) {
            Err(error) => assert!(matches!(error, Error::Device(_)), "{most}: {error}"),
            Ok(()) => drop(model.fit(&bars(9), Fit::default()).unwrap()),
        }
    }
    assert!(model().compile(&app_device(2), Compile::default()).is_err());
    let expected = compiled().get_weights().unwrap();
    let mut model = model();
    model.compile(&app_device(8), Compile::default()).unwrap();
    assert_eq!(model.get_weights().unwrap(), expected);
}
