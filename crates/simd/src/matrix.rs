//! WGSL's matrices: arrays of columns.

use crate::{Components, Number, Vector};

/// `m v`: the columns, weighted by the components.
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

/// `m s`, every element times the same factor.
#[inline(always)]
pub fn matrix_scale<V: Vector, const C: usize>(m: [V; C], factor: V::Component) -> [V; C] {
    m.map(|column| column.scaled(factor))
}

/// The matrix with rows and columns exchanged.
#[inline(always)]
pub fn transpose<V, W, const R: usize, const C: usize>(m: [V; C]) -> [W; R]
where
    V: Components<R>,
    W: Components<C, Component = V::Component>,
{
    let columns = m.map(V::to_components);
    core::array::from_fn(|row| W::from_components(columns.map(|column| column[row])))
}
