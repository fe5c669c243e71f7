// Shared by the kernels of a depthwise convolution. A Value is one channel or four adjacent ones (value.wgsl).
#import window

override channels: u32;   // C, in Values
override dilation_y: u32; // rows and columns between adjacent taps
override dilation_x: u32;
