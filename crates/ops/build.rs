//! Shaders to typed kernels.

/// The tiles that a processor does not take: those in quads, in workgroup memory and in subgroups.
const GPU_ONLY: [&str; 23] = [
    "conv2d.quads",
    "conv2d.shared_tiles",
    "conv2d_input_gradient.quads",
    "conv2d_input_gradient.shared_tiles",
    "conv2d_weight_gradient_quads.forward",
    "conv2d_weight_gradient_quads.shared_tiles",
    "conv2d_strided_input_gradient.quads",
    "conv2d_strided_input_gradient.shared_tiles",
    "conv2d_strided_input_gradient_subgroup.forward",
    "conv2d_subgroup.forward",
    "conv2d_input_gradient_subgroup.forward",
    "conv2d_weight_gradient_subgroup.forward",
    "matmul_subgroup.nn",
    "matmul_subgroup.tn",
    "matmul_quads.nn",
    "matmul_quads.tn",
    "matmul_quads.single",
    "matmul_quads.split",
    "matmul_quads.split_single",
    "matmul_quads.merge",
    "matmul_quads.shared_nn",
    "matmul_quads.shared_tn",
    "sum.tree",
];

fn main() {
    let builder = kiln_build::Builder::new("../../shaders").trusted();
    GPU_ONLY.iter().fold(builder, |builder, kernel| builder.gpu_only(kernel)).build();
}
