// The type of a kernel's values, of their bits, of comparisons and of positions; value_quads.wgsl has those of the form in
// quads.
alias Value = f32;
alias Bits = i32;
alias Flags = bool;
alias Places = u32;
