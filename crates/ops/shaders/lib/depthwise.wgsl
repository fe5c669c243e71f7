// Shared by the kernels of a depthwise convolution. A kernel defines Value: one channel or four adjacent ones.
#import window

override channels: u32;   // C, in Values
override dilation_y: u32; // rows and columns between adjacent taps
override dilation_x: u32;
