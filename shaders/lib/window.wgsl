// The geometry of a window that slides over an image: of a pooling or a convolution.
override height: u32;        // H, of the image
override width: u32;         // W
override out_height: u32;    // OH, of the result
override out_width: u32;     // OW
override window_height: u32; // R
override window_width: u32;  // S
override stride_y: u32;
override stride_x: u32;
override pad_top: u32;       // rows and columns of padding before the image
override pad_left: u32;
