//! A kernel's memory, addressed in 32-bit words.

use fearless_simd::Simd;
use kiln_graph::{Fault, OutOfBounds};

use crate::{Bool, Clamped, U32, Vec2, Vec3, Vec4, Word, linear};

/// A kernel's storage buffer or workgroup memory. With `CHECKED`, an out-of-bounds read returns 0, an out-of-bounds
/// write does nothing, and both are reported; without, the kernel must stay in bounds.
#[derive(Clone, Copy, Debug)]
pub struct Storage<'a, const CHECKED: bool> {
    start: *mut u32,
    words: usize,
    padded: bool,
    variable: &'static str,
    fault: &'a Fault,
}

impl<'a, const CHECKED: bool> Storage<'a, CHECKED> {
    /// Memory that is read-only while the kernel runs, followed by [`PADDING`](kiln_graph::PADDING).
    ///
    /// # Safety
    /// As required by [`kiln_graph::NativeFn`]. Unless `CHECKED`, every access must be in bounds, and no sum or product
    /// in an address may wrap around.
    #[inline(always)]
    pub unsafe fn read(memory: kiln_graph::Memory, variable: &'static str, fault: &'a Fault) -> Self {
        Storage { start: memory.start, words: memory.words, padded: true, variable, fault }
    }

    /// Memory that the kernel's workgroups read and write.
    ///
    /// # Safety
    /// As required by [`kiln_graph::NativeFn`]. Unless `CHECKED`, every access must be in bounds, and no sum or product
    /// in an address may wrap around.
    #[inline(always)]
    pub unsafe fn read_write(memory: kiln_graph::Memory, variable: &'static str, fault: &'a Fault) -> Self {
        Storage { start: memory.start, words: memory.words, padded: false, variable, fault }
    }

    /// Empty memory, for bindings that an entry point does not use.
    #[inline(always)]
    pub fn none(variable: &'static str, fault: &'a Fault) -> Self {
        let start = core::ptr::without_provenance_mut(align_of::<u32>());
        Storage { start, words: 0, padded: false, variable, fault }
    }

    /// A variable of a workgroup: `words` words of [`workgroup_memory`](crate::workgroup_memory) from `first` on. With
    /// `CHECKED` they are 0, as WGSL specifies; without, a word that the kernel reads before it writes it has any value.
    ///
    /// # Safety
    /// The memory must have these words and must be accessed only through the result while that is in use. Unless
    /// `CHECKED`, every access must be in bounds.
    #[inline(always)]
    pub unsafe fn workgroup(
        memory: *mut u32,
        first: usize,
        words: usize,
        variable: &'static str,
        fault: &'a Fault,
    ) -> Self {
        // SAFETY: by this function's own contract.
        let start = unsafe { memory.add(first) };
        if CHECKED {
            // SAFETY: as above; 0 is a valid word.
            unsafe { start.write_bytes(0, words) };
        }
        Storage { start, words, padded: false, variable, fault }
    }

    /// The size in 32-bit words, from which `arrayLength` is computed.
    #[inline(always)]
    pub fn words(self) -> u32 {
        self.words as u32
    }

    /// Whether these words are in bounds; always true unless `CHECKED`.
    #[inline(always)]
    fn holds(self, word: u32, words: usize) -> bool {
        !CHECKED || (word as usize).checked_add(words).is_some_and(|end| end <= self.words)
    }

    /// As [`Storage::holds`] for one word; reports a word out of bounds.
    #[inline(always)]
    fn holds_word(self, word: u32) -> bool {
        if self.holds(word, 1) {
            return true;
        }
        self.report(word);
        false
    }

    #[cold]
    #[inline(never)]
    fn report(self, word: u32) {
        self.fault.report(OutOfBounds { variable: self.variable, word, words: self.words });
    }

    /// The memory from this word on. Only without `CHECKED`.
    #[inline(always)]
    fn skip(self, word: u32) -> Self {
        // SAFETY: inside, by the constructor's contract.
        Storage { start: unsafe { self.start.add(word as usize) }, ..self }
    }

    #[inline(always)]
    fn word<T: Word>(self, word: u32) -> T {
        if !self.holds_word(word) {
            return T::default();
        }
        // SAFETY: inside, by the check or by the constructor's contract; T is one word of plain data.
        unsafe { self.start.add(word as usize).cast::<T>().read() }
    }

    #[inline(always)]
    fn set_word<T: Word>(self, word: u32, value: T) {
        if self.holds_word(word) {
            // SAFETY: inside, by the check or by the constructor's contract; T is one word of plain data.
            unsafe { self.start.add(word as usize).cast::<T>().write(value) }
        }
    }

    /// Loads all lanes from consecutive words, which must exist as memory or as padding.
    #[inline(always)]
    fn vector<T: Word, S: Simd>(self, simd: S, word: u32) -> T::Lanes<S> {
        // SAFETY: the caller guarantees that the words exist; T is one word of plain data.
        let words = unsafe { core::slice::from_raw_parts(self.start.add(word as usize).cast::<T>(), U32::<S>::LEN) };
        T::from_slice(simd, words)
    }

    /// The sum of two parts of an address. Unless `CHECKED`, it must not wrap around; with `CHECKED`, a sum that wraps
    /// is an address out of bounds.
    #[inline(always)]
    pub fn sum(self, a: u32, b: u32) -> u32 {
        if CHECKED {
            return a.saturating_add(b);
        }
        // SAFETY: by the constructor's contract.
        unsafe { a.unchecked_add(b) }
    }

    /// As [`Storage::sum`] for an index times the words of an element.
    #[inline(always)]
    pub fn product(self, index: u32, words: u32) -> u32 {
        if CHECKED {
            return index.saturating_mul(words);
        }
        // SAFETY: by the constructor's contract.
        unsafe { index.unchecked_mul(words) }
    }

    /// Loads the value at this word, the same for all invocations.
    #[inline(always)]
    pub fn load<T: Stored>(self, word: u32) -> T {
        T::load(word, self)
    }

    /// The value at word `word()` if `there`, else 0. It selects the address, not the value, so that uses of a
    /// component become memory operands.
    #[inline(always)]
    pub fn load_if<T: Stored>(self, there: bool, word: impl FnOnce() -> u32) -> T {
        static NOTHING: [u32; 4] = [0; 4];
        if CHECKED {
            return if there { self.load(word()) } else { T::ZERO };
        }
        let start = if there { self.skip(word()).start } else { NOTHING.as_ptr().cast_mut() };
        Storage { start, ..self }.load(0)
    }

    /// Stores one value at this word for all invocations.
    #[inline(always)]
    pub fn store<T: Stored>(self, word: u32, value: T) {
        value.store(word, self);
    }

    /// Loads lane `i` from `word + i`.
    #[inline(always)]
    pub fn lanes<T: Word, S: Simd>(self, simd: S, word: u32) -> T::Lanes<S> {
        if CHECKED && !self.holds(word, U32::<S>::LEN) {
            return self.gather_words::<T, S>(simd, linear(simd, word));
        }
        self.vector::<T, S>(simd, word)
    }

    /// Loads lane `i` from `word + i` where `mask` is true; other lanes are unspecified.
    #[inline(always)]
    pub fn lanes_where<T: Word, S: Simd>(self, simd: S, mask: Bool<S>, word: u32) -> T::Lanes<S> {
        if mask.all() {
            return self.lanes::<T, S>(simd, word);
        }
        if !CHECKED && self.padded && word as usize <= self.words {
            return self.vector::<T, S>(simd, word);
        }
        self.gather_words_where::<T, S>(simd, mask, linear(simd, word))
    }

    /// Loads lane `i` from `index.base + min(i, index.span)`.
    #[inline(always)]
    pub fn clamped<T: Word, S: Simd>(self, simd: S, index: Clamped) -> T::Lanes<S> {
        let whole = index.span as usize >= U32::<S>::LEN - 1;
        if whole && index.beyond == 0 {
            return self.lanes::<T, S>(simd, index.base);
        }
        if CHECKED || !self.padded || index.beyond != 0 {
            return self.gather_words::<T, S>(simd, index.lanes(simd));
        }
        let last: T = self.word(index.base.wrapping_add(index.span));
        let within = Bool::first(simd, index.span.wrapping_add(1));
        within.select(self.vector::<T, S>(simd, index.base), T::splat(simd, last))
    }

    /// Lane `i` from `words[i]`.
    #[inline(always)]
    pub fn gather<T: Stored, S: Simd>(self, simd: S, words: U32<S>) -> T::Lanes<S> {
        T::gather(simd, words, self)
    }

    /// Loads lane `i` from `words[i]` where `mask` is true; other lanes are unspecified.
    #[inline(always)]
    pub fn gather_where<T: Stored, S: Simd>(self, simd: S, mask: Bool<S>, words: U32<S>) -> T::Lanes<S> {
        T::gather_where(simd, mask, words, self)
    }

    /// Stores lane `i` at `word + i`.
    #[inline(always)]
    pub fn set_lanes<T: Word, S: Simd>(self, word: u32, value: T::Lanes<S>) {
        if CHECKED && !self.holds(word, U32::<S>::LEN) {
            let values = T::as_slice(&value);
            for (lane, &value) in values.iter().enumerate() {
                self.set_word(word.wrapping_add(lane as u32), value);
            }
            return;
        }
        let values = T::as_slice(&value);
        // SAFETY: inside, by the check or by the constructor's contract; the source is a vector in a local variable.
        unsafe {
            core::ptr::copy_nonoverlapping(values.as_ptr(), self.start.add(word as usize).cast::<T>(), U32::<S>::LEN);
        }
    }

    /// Stores lane `i` at `word + i` where `mask` is true.
    #[inline(always)]
    pub fn set_lanes_where<T: Word, S: Simd>(self, mask: Bool<S>, word: u32, value: T::Lanes<S>) {
        if mask.all() {
            return self.set_lanes::<T, S>(word, value);
        }
        let (bits, values) = (mask.bits(), T::as_slice(&value));
        let first = bits.trailing_ones();
        if !CHECKED && bits >> first == 0 {
            return self.set_first::<T>(word, values, first as usize);
        }
        for (lane, &value) in values.iter().enumerate() {
            if bits >> lane & 1 == 1 {
                self.set_word(word.wrapping_add(lane as u32), value);
            }
        }
    }

    /// Stores the first `count` values, fewer than 16, at consecutive words, in pieces of powers of two. Only without
    /// `CHECKED`.
    #[inline(always)]
    fn set_first<T: Word>(self, word: u32, values: &[T], count: usize) {
        let mut done = 0;
        for piece in [8, 4, 2, 1] {
            if count & piece != 0 {
                let from = values[done..].as_ptr();
                // SAFETY: inside, by the constructor's contract; there are `count` values, and more: not all lanes are active.
                unsafe {
                    core::ptr::copy_nonoverlapping(from, self.start.add(word as usize + done).cast::<T>(), piece);
                }
                done += piece;
            }
        }
    }

    /// Stores lane `i` at `words[i]`, in ascending order.
    #[inline(always)]
    pub fn scatter<T: Stored, S: Simd>(self, words: U32<S>, value: T::Lanes<S>) {
        T::scatter(u64::MAX, words, value, self);
    }

    /// Stores lane `i` at `words[i]` where `mask` is true, in ascending order.
    #[inline(always)]
    pub fn scatter_where<T: Stored, S: Simd>(self, mask: Bool<S>, words: U32<S>, value: T::Lanes<S>) {
        T::scatter(mask.bits(), words, value, self);
    }

    #[inline(always)]
    fn gather_words<T: Word, S: Simd>(self, simd: S, words: U32<S>) -> T::Lanes<S> {
        T::from_fn(simd, |lane| self.word(words.lane(lane)))
    }

    #[inline(always)]
    fn gather_words_where<T: Word, S: Simd>(self, simd: S, mask: Bool<S>, words: U32<S>) -> T::Lanes<S> {
        let bits = mask.bits();
        T::from_fn(simd, |lane| if bits >> lane & 1 == 1 { self.word(words.lane(lane)) } else { T::default() })
    }

    #[inline(always)]
    fn scatter_words<T: Word, S: Simd>(self, bits: u64, words: U32<S>, value: T::Lanes<S>) {
        for (lane, &value) in T::as_slice(&value).iter().enumerate() {
            if bits >> lane & 1 == 1 {
                self.set_word(words.lane(lane), value);
            }
        }
    }
}

/// Types stored as consecutive words.
pub trait Stored: Copy {
    /// 0 in every component.
    const ZERO: Self;

    /// One per invocation.
    type Lanes<S: Simd>: Copy;

    /// Loads the value that starts at this word.
    fn load<const CHECKED: bool>(word: u32, memory: Storage<'_, CHECKED>) -> Self;

    /// Stores the value from this word on.
    fn store<const CHECKED: bool>(self, word: u32, memory: Storage<'_, CHECKED>);

    /// Lane `i` from `words[i]`.
    fn gather<S: Simd, const CHECKED: bool>(simd: S, words: U32<S>, memory: Storage<'_, CHECKED>) -> Self::Lanes<S>;

    /// Loads lane `i` from `words[i]` where `mask` is true.
    fn gather_where<S: Simd, const CHECKED: bool>(
        simd: S,
        mask: Bool<S>,
        words: U32<S>,
        memory: Storage<'_, CHECKED>,
    ) -> Self::Lanes<S>;

    /// Stores lane `i` at `words[i]` where bit `i` is set.
    fn scatter<S: Simd, const CHECKED: bool>(
        bits: u64,
        words: U32<S>,
        value: Self::Lanes<S>,
        memory: Storage<'_, CHECKED>,
    );
}

macro_rules! stored_word {
    ($($scalar:ty)*) => {$(
        impl Stored for $scalar {
            const ZERO: Self = 0 as $scalar;

            type Lanes<S: Simd> = <$scalar as Word>::Lanes<S>;

            #[inline(always)]
            fn load<const CHECKED: bool>(word: u32, memory: Storage<'_, CHECKED>) -> Self {
                memory.word(word)
            }

            #[inline(always)]
            fn store<const CHECKED: bool>(self, word: u32, memory: Storage<'_, CHECKED>) {
                memory.set_word(word, self);
            }

            #[inline(always)]
            fn gather<S: Simd, const CHECKED: bool>(
                simd: S,
                words: U32<S>,
                memory: Storage<'_, CHECKED>,
            ) -> <Self as Stored>::Lanes<S> {
                memory.gather_words::<Self, S>(simd, words)
            }

            #[inline(always)]
            fn gather_where<S: Simd, const CHECKED: bool>(
                simd: S,
                mask: Bool<S>,
                words: U32<S>,
                memory: Storage<'_, CHECKED>,
            ) -> <Self as Stored>::Lanes<S> {
                memory.gather_words_where::<Self, S>(simd, mask, words)
            }

            #[inline(always)]
            fn scatter<S: Simd, const CHECKED: bool>(
                bits: u64,
                words: U32<S>,
                value: <Self as Stored>::Lanes<S>,
                memory: Storage<'_, CHECKED>,
            ) {
                memory.scatter_words::<Self, S>(bits, words, value);
            }
        }
    )*};
}

stored_word!(f32 u32 i32);

macro_rules! stored_vector {
    ($vector:ident: $($c:ident $i:literal),*) => {
        impl<T: Word + Stored> Stored for $vector<T> {
            const ZERO: Self = $vector { $($c: <T as Stored>::ZERO),* };

            type Lanes<S: Simd> = $vector<<T as Word>::Lanes<S>>;

            #[inline(always)]
            fn load<const CHECKED: bool>(word: u32, memory: Storage<'_, CHECKED>) -> Self {
                if CHECKED {
                    return $vector { $($c: memory.word(word.wrapping_add($i))),* };
                }
                let memory = memory.skip(word);
                $vector { $($c: memory.word($i)),* }
            }

            #[inline(always)]
            fn store<const CHECKED: bool>(self, word: u32, memory: Storage<'_, CHECKED>) {
                $(memory.set_word(word.wrapping_add($i), self.$c);)*
            }

            #[inline(always)]
            fn gather<S: Simd, const CHECKED: bool>(
                simd: S,
                words: U32<S>,
                memory: Storage<'_, CHECKED>,
            ) -> <Self as Stored>::Lanes<S> {
                $vector { $($c: memory.gather_words::<T, S>(simd, words + U32::splat(simd, $i))),* }
            }

            #[inline(always)]
            fn gather_where<S: Simd, const CHECKED: bool>(
                simd: S,
                mask: Bool<S>,
                words: U32<S>,
                memory: Storage<'_, CHECKED>,
            ) -> <Self as Stored>::Lanes<S> {
                $vector { $($c: memory.gather_words_where::<T, S>(simd, mask, words + U32::splat(simd, $i))),* }
            }

            #[inline(always)]
            fn scatter<S: Simd, const CHECKED: bool>(
                bits: u64,
                words: U32<S>,
                value: <Self as Stored>::Lanes<S>,
                memory: Storage<'_, CHECKED>,
            ) {
                let simd = words.token();
                $(memory.scatter_words::<T, S>(bits, words + U32::splat(simd, $i), value.$c);)*
            }
        }
    };
}

stored_vector!(Vec2: x 0, y 1);
stored_vector!(Vec3: x 0, y 1, z 2);
stored_vector!(Vec4: x 0, y 1, z 2, w 3);

/// The bytes of a uniform buffer. Words out of bounds read as 0.
#[derive(Clone, Copy, Debug)]
pub struct Uniform<'a>(pub &'a [u8]);

impl Uniform<'_> {
    /// The scalar at this word.
    #[inline(always)]
    pub fn load<T: Word>(self, word: usize) -> T {
        match self.0.get(4 * word..4 * word + 4) {
            Some(bytes) => bytemuck::pod_read_unaligned(bytes),
            None => T::default(),
        }
    }
}
