//! WGSL's functions of whole vectors.

use fearless_simd::Simd;

use crate::{F32, Float, Number, Vec2, Vec3, Vec4, inverse_sqrt, sqrt};

/// WGSL's vectors, whatever their size, and floats as vectors of one component.
pub trait Vector: Copy {
    /// A component.
    type Component: Copy;

    /// The sum of the products of components.
    fn dot(self, other: Self) -> Self::Component;

    /// Every component times the same factor.
    fn scaled(self, factor: Self::Component) -> Self;
}

macro_rules! sized {
    ($vector:ident) => {
        impl<T: Number> Vector for $vector<T> {
            type Component = T;
            #[inline(always)]
            fn dot(self, other: Self) -> T {
                let [first, rest @ ..] = (self * other).to_array();
                rest.into_iter().fold(first, T::add)
            }
            #[inline(always)]
            fn scaled(self, factor: T) -> Self {
                self * factor
            }
        }
    };
}

impl Vector for f32 {
    type Component = f32;
    #[inline(always)]
    fn dot(self, other: f32) -> f32 {
        self * other
    }
    #[inline(always)]
    fn scaled(self, factor: f32) -> f32 {
        self * factor
    }
}

impl<S: Simd> Vector for F32<S> {
    type Component = Self;
    #[inline(always)]
    fn dot(self, other: Self) -> Self {
        self * other
    }
    #[inline(always)]
    fn scaled(self, factor: Self) -> Self {
        self * factor
    }
}

sized!(Vec2);
sized!(Vec3);
sized!(Vec4);

/// The sum of the products of components.
#[inline(always)]
pub fn dot<V: Vector>(a: V, b: V) -> V::Component {
    a.dot(b)
}

/// `sqrt(dot(v, v))`.
#[inline(always)]
pub fn length<V: Vector<Component: Float>>(v: V) -> V::Component {
    sqrt(v.dot(v))
}

/// `length(a - b)`.
#[inline(always)]
pub fn distance<V: Vector<Component: Float> + Number>(a: V, b: V) -> V::Component {
    length(a.sub(b))
}

/// `v / length(v)`.
#[inline(always)]
pub fn normalize<V: Vector<Component: Float + Number>>(v: V) -> V {
    v.scaled(inverse_sqrt(v.dot(v)))
}

/// `v - 2 dot(normal, v) normal`.
#[inline(always)]
pub fn reflect<V: Vector<Component: Number> + Number>(v: V, normal: V) -> V {
    let along = normal.dot(v);
    v.sub(normal.scaled(along.add(along)))
}

/// The cross product.
#[inline(always)]
pub fn cross<T: Number>(a: Vec3<T>, b: Vec3<T>) -> Vec3<T> {
    let part = |p: T, q: T, r: T, s: T| p.mul(q).sub(r.mul(s));
    Vec3 { x: part(a.y, b.z, a.z, b.y), y: part(a.z, b.x, a.x, b.z), z: part(a.x, b.y, a.y, b.x) }
}
