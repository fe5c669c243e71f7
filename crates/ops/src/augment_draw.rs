//! `draws[n] = the transform A C F of image n, A = R(rotation) T(shift) Sh(shear) Z(zoom) about its centre, and its other draws`.

use kiln_graph::{Array, Error, Lowering, Op, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::augment_draw as kernel;
use crate::random::{random4, uniform_of};

/// The maximum number of choices of a [`Shift::OneOf`].
const MOST_CHOICES: usize = 16;

/// The first of the three streams that are drawn from, the last but 255; the streams of layers count from 0.
const STREAM: u32 = u32::MAX - 255;

/// By how much images are moved along one axis, in pixels.
#[derive(Clone, Debug, PartialEq)]
pub enum Shift {
    /// Uniform in `[-most, most)`.
    Uniform(f32),
    /// One of `0..count`, up or down; 0 is drawn twice as often as any other.
    Whole(u32),
    /// One of these, up or down.
    OneOf(Vec<f32>),
}

/// Draws the random parameters of augmentation for each image of a batch, from the step's key: `() -> [N, 10]`.
///
/// The first six figures are the transform: the pixel at `(y, x)` of the result comes from row `d0 y + d1 x + d2` and
/// column `d3 y + d4 x + d5`. Then the channel shift, the brightness, and the row and the column where the square that
/// is cut out starts. The transform puts a place through the flip, the crop and Keras' affine map, in this order; that
/// map is `R T Sh Z` about the centre of the image, on `(x, y)`, as in `apply_affine_transform` of Keras.
#[derive(Clone, Debug)]
pub struct AugmentDraw {
    /// N, the images.
    pub images: usize,
    /// Their height and width, in pixels.
    pub size: [usize; 2],
    /// Radians: the angle is uniform in `[-rotation, rotation)`.
    pub rotation: f32,
    /// Vertical and horizontal.
    pub shift: [Shift; 2],
    /// Radians: the angle is uniform in `[-shear, shear)`.
    pub shear: f32,
    /// The least and the most factor; the vertical and the horizontal one are drawn apart. Below 1 magnifies.
    pub zoom: [f32; 2],
    /// Whether half of the images are flipped, vertically and horizontally.
    pub flip: [bool; 2],
    /// The image is moved by a whole number of pixels in `-crop..=crop`, along each axis.
    pub crop: u32,
    /// The channel shift, added to all values, is uniform in `[-channel_shift, channel_shift)`.
    pub channel_shift: f32,
    /// The least and the most factor.
    pub brightness: [f32; 2],
    /// The side of the square that is cut out, in pixels. Its centre is any pixel.
    pub cutout: u32,
}

impl AugmentDraw {
    /// Draws that change nothing, for images of this height and width in pixels.
    pub fn none(images: usize, size: [usize; 2]) -> AugmentDraw {
        AugmentDraw {
            images,
            size,
            rotation: 0.0,
            shift: [Shift::Uniform(0.0), Shift::Uniform(0.0)],
            shear: 0.0,
            zoom: [1.0, 1.0],
            flip: [false, false],
            crop: 0,
            channel_shift: 0.0,
            brightness: [1.0, 1.0],
            cutout: 0,
        }
    }

    /// The figures of image `n` of the whole batch.
    fn draw(&self, n: u32, key: [u32; 2]) -> [f64; 10] {
        let [a, b, d] = [0, 1, 2].map(|i| random4(n, STREAM + i, key));
        let [height, width] = self.size.map(|extent| extent as f64);
        let rotation = symmetric(self.rotation, a[0]);
        let shear = symmetric(self.shear, a[1]);
        let [zx, zy] = [a[2], a[3]].map(|word| between(self.zoom, word));
        let [ty, tx] = [0, 1].map(|axis| self.shift[axis].draw(b[axis]));
        let (sin, cos) = rotation.sin_cos();
        let turn = [[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]];
        let slant = [[1.0, -shear.sin(), 0.0], [0.0, shear.cos(), 0.0], [0.0, 0.0, 1.0]];
        let zoom = [[zx, 0.0, 0.0], [0.0, zy, 0.0], [0.0, 0.0, 1.0]];
        let (cx, cy) = ((width - 1.0) / 2.0, (height - 1.0) / 2.0);
        let moved = |half| below(2 * self.crop + 1, half) as f64 - f64::from(self.crop);
        let crop = translation(moved(d[1] >> 16), moved(d[1]));
        let mut map = [translation(cx, cy), turn, translation(tx, ty), slant, zoom, translation(-cx, -cy), crop]
            .into_iter()
            .fold(translation(0.0, 0.0), product);
        if self.flip[1] && b[2] & 1 == 1 {
            map = product(map, [[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        }
        if self.flip[0] && b[2] & 2 == 2 {
            map = product(map, [[1.0, 0.0, 0.0], [0.0, -1.0, height - 1.0], [0.0, 0.0, 1.0]]);
        }
        let half = f64::from(self.cutout / 2);
        let [top, left] = [0, 1].map(|axis| below(self.size[axis] as u32, d[2 + axis]) as f64 - half);
        let [[xx, xy, x0], [yx, yy, y0], _] = map;
        let (shift, brightness) = (symmetric(self.channel_shift, b[3]), between(self.brightness, d[0]));
        [yy, yx, y0, xy, xx, x0, shift, brightness, top, left]
    }
}

impl Shift {
    /// The kernel's parameters: the number of choices, whether they are 0, 1, 2, ..., the maximum, and the choices.
    fn params(&self) -> (u32, u32, f32, &[f32]) {
        match self {
            Shift::Uniform(most) => (0, 0, *most, &[]),
            Shift::Whole(count) => (*count, 1, 0.0, &[]),
            Shift::OneOf(choices) => (choices.len() as u32, 0, 0.0, choices),
        }
    }

    /// Pixels.
    fn draw(&self, word: u32) -> f64 {
        let sign = if word & 1 == 1 { -1.0 } else { 1.0 };
        match self {
            Shift::Uniform(most) => symmetric(*most, word),
            Shift::Whole(0) => 0.0,
            Shift::Whole(count) => sign * below(*count, word >> 16) as f64,
            Shift::OneOf(choices) => {
                choices.get(below(choices.len() as u32, word >> 16)).map_or(0.0, |&pixels| sign * f64::from(pixels))
            }
        }
    }
}

fn between([low, high]: [f32; 2], word: u32) -> f64 {
    f64::from(low) + (f64::from(high) - f64::from(low)) * uniform_of(word)
}

fn symmetric(most: f32, word: u32) -> f64 {
    between([-most, most], word)
}

/// An integer below `count`, made of the 16 low bits.
fn below(count: u32, bits: u32) -> usize {
    (((bits & 0xffff) * count) >> 16) as usize
}

type Map = [[f64; 3]; 3];

fn translation(x: f64, y: f64) -> Map {
    [[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]]
}

fn product(a: Map, b: Map) -> Map {
    [0, 1, 2].map(|row| [0, 1, 2].map(|column| (0..3).map(|i| a[row][i] * b[i][column]).sum()))
}

impl Op for AugmentDraw {
    fn name(&self) -> &'static str {
        "augment_draw"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let fits = |shift: &Shift| matches!(shift.params(), (count, _, _, _) if count < 1 << 16);
        let listed = |shift: &Shift| shift.params().3.len() <= MOST_CHOICES;
        let small = self.size.iter().all(|&extent| extent < 1 << 16) && self.crop < 1 << 15;
        match inputs {
            [] if small && self.shift.iter().all(|shift| fits(shift) && listed(shift)) => {
                Ok(vec![TensorType::f32([self.images, kernel::DRAWS as usize])])
            }
            _ => {
                let expected =
                    format!("no tensor, sizes below 65536 pixels and at most {MOST_CHOICES} choices of shifts");
                Err(Error::inputs(self.name(), expected, inputs))
            }
        }
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let draws = lowering.outputs()[0];
        let [vertical, horizontal] = [0, 1].map(|axis| self.shift[axis].params());
        let mut choices = [[0.0; 4]; 8];
        for (first, listed) in [(0, vertical.3), (4, horizontal.3)] {
            for (i, &pixels) in listed.iter().enumerate() {
                choices[first + i / 4][i % 4] = pixels;
            }
        }
        let params = kernel::Params {
            choices,
            counts: [vertical.0, horizontal.0],
            whole: [vertical.1, horizontal.1],
            shift: [vertical.2, horizontal.2],
            zoom: self.zoom,
            brightness: self.brightness,
            size: self.size.map(|extent| extent as u32),
            flip: self.flip.map(u32::from),
            images: self.images as u32,
            rotation: self.rotation,
            shear: self.shear,
            channel_shift: self.channel_shift,
            crop: self.crop,
            cutout: self.cutout,
        };
        lowering.push(kernel::Forward { draws }.call(params, linear_workgroups(self.images, 256)));
        Ok(())
    }

    fn reference(&self, _: &[&Array], step: &Step) -> Vec<Array> {
        let draws = (0..self.images as u32).flat_map(|n| self.draw(step.place + n, step.key)).collect();
        vec![Array::f32([self.images, 10], draws)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let everything = AugmentDraw {
        rotation: 0.5,
        shift: [Shift::OneOf(vec![0.5, 3.0, 8.25, -1.0, 2.0]), Shift::Uniform(4.5)],
        shear: 0.3,
        zoom: [0.7, 1.3],
        flip: [true, true],
        crop: 4,
        channel_shift: 20.0,
        brightness: [0.5, 1.5],
        cutout: 8,
        ..AugmentDraw::none(257, [31, 33])
    };
    let shard = AugmentDraw { images: 5, ..everything.clone() };
    let ops = [
        ("nothing", AugmentDraw::none(1, [1, 1])),
        ("flips", AugmentDraw { flip: [true, true], ..AugmentDraw::none(257, [3, 257]) }),
        ("whole shifts", AugmentDraw { shift: [Shift::Whole(1), Shift::Whole(5)], ..AugmentDraw::none(257, [3, 5]) }),
        ("crop", AugmentDraw { crop: 4, flip: [false, true], ..AugmentDraw::none(300, [32, 32]) }),
        ("rotation", AugmentDraw { rotation: 3.0, ..AugmentDraw::none(3, [32, 32]) }),
        ("everything", everything),
    ];
    let step = Step { key: [0x1234_5678, 0x9abc_def0], ..Step::default() };
    let whole = ops.into_iter().map(|(name, op)| Case::new(format!("augment_draw {name}"), op, vec![]).at(step));
    let place = Step { place: 252, ..step };
    whole.chain([Case::new("augment_draw of a shard", shard, vec![]).at(place)]).collect()
}
