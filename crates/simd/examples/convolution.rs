//! GFLOP/s of a 3x3 convolution with 64 channels and filters, written by hand as a translated kernel is: 8 rows by 2
//! columns of vectors per invocation, on one thread, with each instruction set.
//!
//! `cargo run --release -p kiln-simd --example convolution`

use std::time::Instant;

use fearless_simd::Level;
use kiln_graph::{Fault, Memory};
use kiln_simd::{F32, Simd, Storage, ToLanes, U32, Vec2, Vec4, fma};

const SIDE: u32 = 34; // of the padded image
const OUT: u32 = 32;
const CHANNELS: u32 = 64;
const IMAGES: u32 = 8;

/// Four steps along the channels of one row.
#[inline(always)]
fn multiply_add4<S: Simd>(simd: S, a: Vec4<f32>, b: [Vec2<F32<S>>; 4], sum: Vec2<F32<S>>) -> Vec2<F32<S>> {
    let step = |a: f32, b, sum| fma(Vec2::splat(a).lanes(simd), b, sum);
    step(a.w, b[3], step(a.z, b[2], step(a.y, b[1], step(a.x, b[0], sum))))
}

#[inline(always)]
fn convolve<S: Simd>(simd: S, x: Storage<'_, false>, weights: Storage<'_, false>, y: Storage<'_, false>) {
    let lanes = U32::<S>::LEN as u32;
    for tile in 0..IMAGES * OUT * OUT / 8 {
        let first = tile * 8;
        let (image, row, left) = (first / (OUT * OUT), first / OUT % OUT, first % OUT);
        for column in (0..CHANNELS).step_by(2 * lanes as usize) {
            let mut s = [Vec2::splat(0.0f32).lanes(simd); 8];
            let mut w = column;
            for r in 0..3 {
                for c in 0..3 {
                    let at = ((image * SIDE + row + r) * SIDE + left + c) * CHANNELS;
                    for d in (0..CHANNELS).step_by(4) {
                        let b: [Vec2<F32<S>>; 4] = core::array::from_fn(|k| {
                            let w = w.wrapping_add(k as u32 * CHANNELS);
                            Vec2 { x: weights.lanes::<f32, S>(simd, w), y: weights.lanes::<f32, S>(simd, w + lanes) }
                        });
                        for (p, s) in s.iter_mut().enumerate() {
                            let a = x.load::<Vec4<f32>>(at + p as u32 * CHANNELS + d);
                            *s = multiply_add4(simd, a, b, *s);
                        }
                        w = w.wrapping_add(4 * CHANNELS);
                    }
                }
            }
            for (p, s) in s.iter().enumerate() {
                let at = (first + p as u32) * CHANNELS + column;
                y.set_lanes::<f32, S>(at, s.x);
                y.set_lanes::<f32, S>(at + lanes, s.y);
            }
        }
    }
}

fn measure<S: Simd>(name: &str, simd: S) {
    let memory = |words: u32| {
        let mut values = vec![0x3c00_0000u32; words as usize + 64];
        let start = values.as_mut_ptr();
        (values, Memory { start, words: words as usize })
    };
    let (_x, x) = memory(IMAGES * SIDE * SIDE * CHANNELS);
    let (_w, w) = memory(9 * CHANNELS * CHANNELS);
    let (y_values, y) = memory(IMAGES * OUT * OUT * CHANNELS);
    let fault = Fault::default();
    // SAFETY: the memory outlives the calls, nobody else has it, and the loops stay within.
    let (x, w, y) = unsafe {
        (Storage::read(x, "x", &fault), Storage::read(w, "weights", &fault), Storage::read_write(y, "y", &fault))
    };
    let run = || {
        let start = Instant::now();
        simd.vectorize(
            #[inline(always)]
            || convolve(simd, x, w, y),
        );
        start.elapsed().as_secs_f64()
    };
    let best = (0..10).map(|_| run()).fold(f64::INFINITY, f64::min);
    let flops = 2.0 * f64::from(IMAGES * OUT * OUT) * f64::from(9 * CHANNELS * CHANNELS);
    println!("{name:>8}: {:6.1} GFLOP/s (y[0] = {})", flops / best / 1e9, f32::from_bits(y_values[0]));
}

fn main() {
    let level = Level::new();
    #[cfg(target_arch = "x86_64")]
    {
        if let Level::Avx512(simd) = level {
            measure("AVX-512", simd);
        }
        if let Some(simd) = level.as_avx2() {
            measure("AVX2", simd);
        }
    }
    fearless_simd::dispatch!(level, simd => measure("best", simd));
}
