//! Previews of an augmentation.

use kiln_graph::{Array, Buffers, DType, Graph, Step, TensorType};
use kiln_ops::Gather;

use super::Augmentation;
use crate::data::{Dataset, Values};
use crate::random::{Stream, bits};
use crate::{Device, Error, Result};

/// The gap between two images of a contact sheet, in pixels.
const GAP: usize = 2;

/// A contact sheet of images as bytes: red, green and blue of each pixel, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactSheet {
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// `[height, width, 3]`
    pub pixels: Vec<u8>,
}

impl Augmentation {
    /// Renders `rows` by `columns` images as augmented in the first step of a training with this seed, before scaling and
    /// standardization, each pixel enlarged to `zoom` by `zoom`. Uses the first samples of the data set, repeated if there
    /// are fewer. Floats are mapped from their minimum and maximum to black and white.
    ///
    /// # Errors
    /// If an argument is invalid, the samples are not images, or the device fails.
    pub fn preview(
        &self,
        device: &Device,
        data: &Dataset,
        [rows, columns]: [usize; 2],
        zoom: usize,
        seed: u64,
    ) -> Result<ContactSheet> {
        self.check()?;
        let count = rows * columns;
        let data = self.images(data)?.head(count).in_memory()?;
        let Some([height, width, channels]) = data.sample_shape().dims().filter(|_| count > 0 && !data.is_empty())
        else {
            let expected = "images [height, width, channels], and at least one row and column".to_owned();
            let found = format!("{} samples {} in {rows} x {columns}", data.len(), data.sample_shape());
            return Err(Error::Argument { name: "data", expected, found });
        };
        let images = self.changed(device, &data, count, seed)?;
        let (low, high) = match data.values()? {
            Values::U8(_) => (0.0, 255.0),
            Values::F32(_) => images.iter().fold((f64::MAX, f64::MIN), |(low, high), &v| (low.min(v), high.max(v))),
        };
        let byte = |value: f64| ((value - low) / (high - low).max(f64::MIN_POSITIVE) * 255.0).round() as u8;
        let zoom = zoom.max(1);
        let [tile_height, tile_width] = [height, width].map(|extent| extent * zoom + GAP);
        let mut sheet =
            ContactSheet { width: columns * tile_width + GAP, height: rows * tile_height + GAP, pixels: vec![] };
        for (y, x) in (0..sheet.height).flat_map(|y| (0..sheet.width).map(move |x| (y, x))) {
            let inside = |at: usize, tile: usize| {
                let within = (at % tile).checked_sub(GAP)?;
                Some((at / tile, within / zoom))
            };
            let pixel = inside(y, tile_height).zip(inside(x, tile_width)).map(|((row, r), (column, q))| {
                let at = (((row * columns + column) * height + r) * width + q) * channels;
                let color = if channels >= 3 { [0, 1, 2] } else { [0, 0, 0] };
                color.map(|channel| byte(images[at + channel]))
            });
            sheet.pixels.extend(pixel.unwrap_or([255; 3]));
        }
        Ok(sheet)
    }

    /// This many samples, augmented as in one step.
    fn changed(&self, device: &Device, data: &Dataset, count: usize, seed: u64) -> Result<Vec<f64>> {
        let mut buffers = Buffers::new(device.as_dyn().clone());
        let mut graph = Graph::new();
        let mut given = |name: &str, ty: TensorType, bytes: &[u8]| {
            let mut words = bytes.to_vec();
            words.resize(bytes.len().next_multiple_of(4), 0);
            buffers.named(name, words.len() as u64)?.write(0, &words)?;
            let buffer = graph.buffer(name);
            crate::Result::Ok(graph.persistent(ty, buffer, 0))
        };
        let x =
            given("x", TensorType::new(data.sample_shape().batched(data.len()), data.dtype()), data.values()?.bytes())?;
        let order: Vec<u32> = (0..count).map(|place| (place % data.len()) as u32).collect();
        let order = given("order", TensorType::new([count], DType::U32), bytemuck::cast_slice(&order))?;
        let x = graph.add(Gather { batch: count, scale: 1.0, offset: 0.0 }, &[x, order])?;
        let y = self.append(&mut graph, x, 1.0, 0.0)?;
        let (ty, images) = (graph.ty(y).clone(), graph.buffer("images"));
        graph.place(y, images, 0)?;

        let mut program = buffers.program(&device.plan(&graph)?)?;
        let key = bits(Stream::Step, [seed, 0, 0]);
        let step = Step { key: [key as u32, (key >> 32) as u32], ..Step::default() };
        program.run(&[step], None)?.wait()?;
        let bytes = buffers.named("images", ty.bytes())?.read(0, ty.bytes())?;
        Ok(Array::from_bytes(ty, &bytes).data)
    }
}
