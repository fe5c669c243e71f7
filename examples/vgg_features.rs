//! Prints the features of a picture in an intermediate layer of VGG16.
//!
//! `cargo run --release --features hdf5 --example vgg_features -- WEIGHTS PICTURE [LAYER]`: WEIGHTS is Keras' file of
//! VGG16's weights, of the whole network or without its top, and LAYER is `block4_pool` by default.
//!
//! Needs pretrained weights.

use kiln::data::{Dataset, Labels, LoadImg, Preprocessing, load_img};
use kiln::models::{Top, vgg16};
use kiln::{Device, LoadWeights};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [weights, picture, layer @ ..] = &arguments[..] else { return Err("expected: WEIGHTS PICTURE [LAYER]".into()) };
    let layer = layer.first().map_or("block4_pool", String::as_str);

    let vgg = vgg16([224, 224, 3], Top::None);
    let mut features = vgg.sub_model(vgg.get_layer(layer)?.output)?;
    features.load_weights_with(weights, LoadWeights { by_name: true, ..LoadWeights::default() })?; // without those of later layers
    features.to_device(&Device::best()?)?;

    let image = load_img(picture, &LoadImg { target_size: Some([224, 224]), ..LoadImg::default() })?;
    let data = Dataset::from_u8(image.shape, image.values, Labels::index(vec![0], 1))?;
    let given = features.predict(&data.preprocess_input(Preprocessing::Caffe)?)?;
    let active = given.values.iter().filter(|&&value| value > 0.0).count();
    let (largest, count) = (given.values.iter().copied().fold(0.0f32, f32::max), given.values.len());
    println!("{layer}: {}, {active} of {count} values above 0, the largest {largest:.2}", given.shape);
    Ok(())
}
