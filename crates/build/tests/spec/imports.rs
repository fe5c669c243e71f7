use crate::{assert_error, kernel, shader};

#[test]
fn an_import_is_replaced_by_the_file_and_stays_as_a_comment() {
    let text = kernel("// one\n  #import two  ");

    let shader = shader(&[("a.wgsl", &text), ("lib/two.wgsl", "const TWO: u32 = 2u;\r\nconst MORE: u32 = 3u;")]);

    let expected = "// one\n// #import two\nconst TWO: u32 = 2u;\nconst MORE: u32 = 3u;\n";
    assert!(shader.source.text().starts_with(expected), "{}", shader.source.text());
}

#[test]
fn imports_are_transitive_and_put_in_once_where_first_asked_for() {
    let text = kernel("#import b\n#import c\n#import c");
    let b = "#import c\nconst B: u32 = C;";

    let shader = shader(&[("a.wgsl", &text), ("lib/b.wgsl", b), ("lib/c.wgsl", "const C: u32 = 1u;")]);

    let expected = "// #import b\n// #import c\nconst C: u32 = 1u;\nconst B: u32 = C;\n// #import c\n// #import c\n";
    assert!(shader.source.text().starts_with(expected), "{}", shader.source.text());
}

#[test]
fn files_that_nobody_imports_may_be_wrong() {
    shader(&[("a.wgsl", &kernel("")), ("lib/broken.wgsl", "fn (")]);
}

#[test]
fn an_unknown_import_names_what_there_is() {
    assert_error(
        &[("a.wgsl", "// one\n#import stepp // for Adam\n"), ("lib/linear.wgsl", ""), ("lib/step.wgsl", "")],
        "
error: expected the name of a file in `lib/`, without `.wgsl`, found `stepp // for Adam`
 --> a.wgsl:2:9
  |
2 | #import stepp // for Adam
  |         ^^^^^^^^^^^^^^^^^
  = note: `lib/` contains linear, step
",
    );
}

#[test]
fn an_import_of_nothing_is_an_error() {
    assert_error(
        &[("a.wgsl", "#import")],
        "
error: expected the name of a file in `lib/`, without `.wgsl`, found ``
 --> a.wgsl:1:8
  |
1 | #import
  |        ^
  = note: `lib/` contains nothing
",
    );
}

#[test]
fn imports_in_a_circle_are_an_error_at_the_line_that_closes_it() {
    assert_error(
        &[("a.wgsl", "#import b"), ("lib/b.wgsl", "#import c"), ("lib/c.wgsl", "\n#import b")],
        "
error: circular import: b -> c -> b
 --> lib/c.wgsl:2:9
  |
2 | #import b
  |         ^
  = note: while building a.wgsl
",
    );
}

#[test]
fn a_file_that_imports_itself_is_an_error() {
    assert_error(
        &[("a.wgsl", "#import b"), ("lib/b.wgsl", "#import b")],
        "
error: circular import: b -> b
 --> lib/b.wgsl:1:9
  |
1 | #import b
  |         ^
  = note: while building a.wgsl
",
    );
}
