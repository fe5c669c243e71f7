// The function applied to a value before it is stored, which saves a pass over memory. The importing file binds
// `gates`, in the layout of its result.
#import nan
#import value

const PLAIN: u32 = 0u;
const RELU: u32 = 1u;           // max(v, 0)
const RELU_GRADIENT: u32 = 2u;  // v where the gate is above 0, else 0
const RELU6: u32 = 3u;          // min(max(v, 0), 6)
const RELU6_GRADIENT: u32 = 4u; // v where the gate is above 0 and below 6, else 0

override epilogue: u32;

fn finish(at: u32, v: Value) -> Value {
    if epilogue == RELU {
        return relu_or_nan(v);
    }
    if epilogue == RELU_GRADIENT {
        return gated_or_nan(v, gates[at]);
    }
    if epilogue == RELU6 {
        return relu6_or_nan(v);
    }
    if epilogue == RELU6_GRADIENT {
        return gated6_or_nan(v, gates[at]);
    }
    return v;
}
