// Names that shadow each other, that Rust reserves, or that translated code uses.
struct Storage { F32: f32, box: u32 }
struct Workgroup { dyn: f32 }
struct Order { simd: Storage, order: Workgroup }
struct S { K: u32 }
struct Some { None: i32 }
override OVERRIDE: u32 = 3u;
const gen = 2.5;
const i8 = 4u;
@group(0) @binding(0) var<storage, read> f_a: array<f32>;
@group(0) @binding(1) var<storage, read_write> f_out: array<f32>;

fn shader(simd: f32) -> f32 { return simd * 2.0; }
fn linear(returned: u32) -> u32 { return returned + 1u; }
fn area(S: f32) -> f32 { return S * S; }
fn element(i: f32) -> f32 {
    if i > 0.0 { return area(i); }
    return -i;
}
fn native(x: f32) -> f32 { return x + f32(i8); }
fn run_main(leaving: f32) -> f32 { return leaving - 1.0; }
fn f32_(v: f32) -> f32 { return v; }
fn clamp_(t: vec2f) -> vec2f {
    let v = t.yx;
    return (v + t).yx;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) at: vec3u, @builtin(workgroup_id) workgroup: vec3u) {
    let simd = at.x;
    let dyn = f_a[simd];
    var box = dyn * gen;
    {
        let dyn = 3.0;
        var box = dyn + 1.0;
        box += 1.0;
        f_out[simd] = box * dyn;
        let area = box;
        f_out[simd + 192u] = area;
    }
    box += area(dyn) + area(2.0);
    let area_2 = box;
    let area = area(area_2);
    let v = vec3f(dyn, area, box);
    let F32 = v.zyx;
    let Bool = F32.x > 1.0;
    let Scalars = select(1.0, 2.0, Bool);
    let U32 = linear(simd);
    let OVERRIDES = OVERRIDE + U32;
    let order = Order(Storage(Scalars, OVERRIDES), Workgroup(dyn));
    let s = S(order.simd.box);
    let some = Some(-3);
    f_out[simd + 384u] = F32.y + order.simd.F32 + f32(s.K) + order.order.dyn + f32(some.None);
    let gen_ = i32(simd) - 3;
    let test = gen_ > 5;
    var linear_ = 0.0;
    if test && dyn > 0.0 { linear_ = f_a[gen_]; } else { linear_ = shader(dyn); }
    for (var in = 0u; in < 3u; in++) {
        let then = linear_ * 2.0;
        if then > 10.0 { break; }
        linear_ += then;
    }
    f_out[simd + 576u] = linear_ + element(dyn) + native(1.0) + run_main(area_2) + f32_(v.x) + clamp_(v.xy).x;
    let Invocations = vec2u(simd, workgroup.x);
    let CHECKED = Invocations.yx;
    f_out[simd + 768u] = f32(CHECKED.y) + f32(Invocations.y);
}
