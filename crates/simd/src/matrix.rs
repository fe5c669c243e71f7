//! WGSL's matrices: arrays of columns.

use crate::{Components, Number, Vec2, Vec3, Vec4, Vector, cross};

/// `m v`: the columns weighted by the components.
#[inline(always)]
pub fn matrix_times_vector<V, W, const C: usize>(m: [V; C], v: W) -> V
where
    V: Vector + Number,
    W: Components<C, Component = V::Component>,
{
    let weights = v.to_components();
    let mut sum = m[0].scaled(weights[0]);
    for (column, weight) in m.iter().zip(weights).skip(1) {
        sum = sum.add(column.scaled(weight));
    }
    sum
}

/// `v m`: the dot product with each column.
#[inline(always)]
pub fn vector_times_matrix<V, W, const C: usize>(v: V, m: [V; C]) -> W
where
    V: Vector,
    W: Components<C, Component = V::Component>,
{
    W::from_components(m.map(|column| v.dot(column)))
}

/// `a b`, column by column.
#[inline(always)]
pub fn matrix_mul<V, W, const K: usize, const C: usize>(a: [V; K], b: [W; C]) -> [V; C]
where
    V: Vector + Number,
    W: Components<K, Component = V::Component>,
{
    b.map(|column| matrix_times_vector(a, column))
}

/// `a + b`.
#[inline(always)]
pub fn matrix_add<V: Number, const C: usize>(a: [V; C], b: [V; C]) -> [V; C] {
    core::array::from_fn(|column| a[column].add(b[column]))
}

/// `a - b`.
#[inline(always)]
pub fn matrix_sub<V: Number, const C: usize>(a: [V; C], b: [V; C]) -> [V; C] {
    core::array::from_fn(|column| a[column].sub(b[column]))
}

/// `m s`: every element times a scalar.
#[inline(always)]
pub fn matrix_scale<V: Vector, const C: usize>(m: [V; C], factor: V::Component) -> [V; C] {
    m.map(|column| column.scaled(factor))
}

/// The transposed matrix.
#[inline(always)]
pub fn transpose<V, W, const R: usize, const C: usize>(m: [V; C]) -> [W; R]
where
    V: Components<R>,
    W: Components<C, Component = V::Component>,
{
    let columns = m.map(V::to_components);
    core::array::from_fn(|row| W::from_components(columns.map(|column| column[row])))
}

/// Square matrices.
pub trait Square: Copy {
    /// An element.
    type Element;
    /// The determinant.
    fn determinant(self) -> Self::Element;
}

/// The determinant.
#[inline(always)]
pub fn determinant<M: Square>(m: M) -> M::Element {
    m.determinant()
}

impl<T: Number> Square for [Vec2<T>; 2] {
    type Element = T;
    #[inline(always)]
    fn determinant(self) -> T {
        let [a, b] = self;
        a.x.mul(b.y).sub(a.y.mul(b.x))
    }
}

impl<T: Number> Square for [Vec3<T>; 3] {
    type Element = T;
    #[inline(always)]
    fn determinant(self) -> T {
        let [a, b, c] = self;
        a.dot(cross(b, c))
    }
}

impl<T: Number> Square for [Vec4<T>; 4] {
    type Element = T;
    /// Computed from the 2 x 2 minors of the first and of the last two columns.
    #[inline(always)]
    fn determinant(self) -> T {
        let [a, b, c, d] = self.map(Vec4::to_array);
        let upper = |i: usize, j: usize| a[i].mul(b[j]).sub(a[j].mul(b[i]));
        let lower = |i: usize, j: usize| c[i].mul(d[j]).sub(c[j].mul(d[i]));
        let plus = upper(0, 1).mul(lower(2, 3)).add(upper(0, 3).mul(lower(1, 2))).add(upper(1, 2).mul(lower(0, 3)));
        let more = upper(2, 3).mul(lower(0, 1));
        plus.add(more).sub(upper(0, 2).mul(lower(1, 3))).sub(upper(1, 3).mul(lower(0, 2)))
    }
}
