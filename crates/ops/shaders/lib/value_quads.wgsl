// Four adjacent values in place of one (value.wgsl).
alias Value = vec4f;
alias Bits = vec4i;
alias Flags = vec4<bool>;
alias Places = vec4u;
