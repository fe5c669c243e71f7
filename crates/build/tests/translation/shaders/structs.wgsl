// Structs in storage, in a uniform buffer and in functions; nested, in arrays and with arrays.
struct Point { at: vec3f, weight: f32 }
struct Twin { at: vec3f, weight: f32 }
struct Shape { points: array<Point, 3>, count: u32, tags: array<array<u32, 2>, 2> }
struct Params { origin: vec3f, scale: f32, sizes: array<vec4u, 2> }
@group(0) @binding(0) var<storage, read> s_points: array<Point>;
@group(0) @binding(1) var<storage, read> s_shapes: array<Shape>;
@group(0) @binding(2) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read_write> s_out: array<Shape>;
@group(0) @binding(4) var<storage, read_write> f_out: array<f32>;

fn moved(p: Point, by: vec3f) -> Point {
    return Point(p.at + by, p.weight * params.scale);
}

fn twin(p: Point) -> Twin {
    var t = Twin(p.at.zyx, p.weight);
    if p.weight > 0.0 {
        t.weight = 2.0;
        t.at.y = 1.0;
    }
    return t;
}

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
    let at = id.x;
    let near = moved(s_points[at], params.origin);
    let far = moved(s_points[group.x], vec3f(100.0));
    let t = twin(near);
    let u = twin(far);
    f_out[at] = near.at.x + near.weight + far.at.y * far.weight + t.at.z + t.weight + u.at.y - u.weight;
    var shape = s_shapes[at];
    shape.points[1] = near;
    shape.points[at % 3u].weight = 4.0;
    shape.points[at % 3u].at[group.x % 3u] = 6.0;
    shape.count = at % 3u + params.sizes[1].z + params.sizes[at % 2u].y;
    shape.tags[at % 2u][1] = 77u;
    shape.tags[1][(at + 1u) % 2u] += 1u;
    let chosen = shape.points[at % 3u];
    f_out[at + 192u] = chosen.at.x + chosen.weight + shape.points[(at + 1u) % 3u].at.z;
    s_out[at] = shape;
    s_out[at].points[2].at = vec3f(1.0, 2.0, 3.0);
    s_out[at].points[at % 2u].weight = f32(s_shapes[at].tags[1][at % 2u] & 7u);
    var none: Shape;
    f_out[at + 384u] = none.points[2].weight + f32(none.tags[1][1]);
    if at % 2u == 0u {
        none = shape;
        none.points[0] = Point(vec3f(2.0), 1.0);
    }
    f_out[at + 576u] = none.points[0].at.y + none.points[1].weight;
}
