//! Fetching from folders and from a web server on this machine.

#![allow(clippy::unwrap_used, clippy::panic)]

mod archive;
mod server;

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use tempfile::{TempDir, tempdir};

use self::server::{Reply, Server};
use super::*;

/// Incompressible contents, different for each file.
fn contents(index: usize) -> Vec<u8> {
    let mut state = 7 + index as u32;
    let random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(random).take(50_000 + index).collect()
}

fn packed(index: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&contents(index)).unwrap();
    encoder.finish().unwrap()
}

/// A small data set with the right hashes.
fn small_set() -> DataSet {
    let sha256 = [0, 1, 2, 3].map(|index| {
        let hash = Sha256::digest(contents(index));
        &*hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>().leak()
    });
    DataSet { name: "small", sha256, sources: &[] }
}

fn folder_with_all_files() -> TempDir {
    let folder = tempdir().unwrap();
    for (index, name) in MNIST_FILES.iter().enumerate() {
        fs::write(folder.path().join(format!("{name}.gz")), packed(index)).unwrap();
    }
    folder
}

fn assert_complete(folder: &Path) {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let mut expected = MNIST_FILES;
    expected.sort();
    assert_eq!(names, expected, "and nothing else, such as temporary files");
    for (index, name) in MNIST_FILES.iter().enumerate() {
        assert!(fs::read(folder.join(name)).unwrap() == contents(index), "{name}");
    }
}

fn mirror(server: &Server, into: &Path) -> Result<(), Error> {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
    from_mirror(&small_set(), &agent, &server.address(), into)
}

/// Sends the requested range of the requested file.
fn honest(path: &str, start: Option<usize>) -> Reply {
    let index = MNIST_FILES.iter().position(|name| path == format!("/{name}.gz"));
    let Some(index) = index else { return Reply::status(404) };
    match start {
        Some(start) => Reply::rest(packed(index), start),
        None => Reply::whole(packed(index)),
    }
}

#[test]
fn files_from_a_folder_are_unpacked_and_put_in_place() {
    let (from, into) = (folder_with_all_files(), tempdir().unwrap());
    assert!(fetch(&small_set(), Some(from.path()), into.path()).unwrap());
    assert_complete(into.path());
}

#[test]
fn files_that_are_there_are_not_fetched_again() {
    let (from, into) = (folder_with_all_files(), tempdir().unwrap());
    fetch(&small_set(), Some(from.path()), into.path()).unwrap();
    assert!(!fetch(&small_set(), Some(Path::new("/no/such/folder")), into.path()).unwrap());
}

#[test]
fn a_damaged_file_is_replaced() {
    let (from, into) = (folder_with_all_files(), tempdir().unwrap());
    fetch(&small_set(), Some(from.path()), into.path()).unwrap();
    fs::write(into.path().join(MNIST_FILES[2]), "damaged").unwrap();
    assert!(fetch(&small_set(), Some(from.path()), into.path()).unwrap());
    assert_complete(into.path());
}

#[test]
fn a_folder_without_a_file_is_an_error_that_names_both() {
    let (from, into) = (folder_with_all_files(), tempdir().unwrap());
    fs::remove_file(from.path().join(format!("{}.gz", MNIST_FILES[1]))).unwrap();
    let error = fetch(&small_set(), Some(from.path()), into.path()).unwrap_err().to_string();
    let folder = from.path().display();
    assert_eq!(error, format!("expected {0} or {0}.gz in {folder}, found neither", MNIST_FILES[1]));
}

#[test]
fn a_wrong_file_is_an_error_with_both_hashes_and_is_not_put_in_place() {
    let (from, into) = (folder_with_all_files(), tempdir().unwrap());
    let wrong = from.path().join(format!("{}.gz", MNIST_FILES[0]));
    fs::write(&wrong, packed(3)).unwrap();
    let error = fetch(&small_set(), Some(from.path()), into.path()).unwrap_err().to_string();
    let [expected, .., found] = small_set().sha256;
    let file = wrong.display();
    assert_eq!(error, format!("{file}: expected contents with sha256 {expected}, found {found}"));
    assert_eq!(fs::read_dir(into.path()).unwrap().count(), 0);
}

#[test]
fn no_source_says_what_was_tried_and_what_to_do() {
    let set = DataSet { sources: &[Origin::Folder { path: "/no/such/folder", package: "small-data" }], ..small_set() };
    let error = fetch(&set, None, tempdir().unwrap().path()).unwrap_err().to_string();
    assert!(error.contains("\n  /no/such/folder (the Debian package small-data): expected train-images"), "{error}");
    assert!(error.contains("install the Debian package small-data, or put its four files in a folder"), "{error}");
    assert!(error.contains("`kiln data small --from FOLDER`"), "{error}");
}

#[test]
fn a_mirror_sends_all_files() {
    let (server, into) = (Server::start(honest), tempdir().unwrap());
    mirror(&server, into.path()).unwrap();
    assert_complete(into.path());
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn a_transfer_that_breaks_off_goes_on_where_it_was() {
    let server = Server::start(|path, start| match start {
        None => honest(path, start).cut_after(20_000),
        Some(start) => honest(path, Some(start)),
    });
    let into = tempdir().unwrap();
    mirror(&server, into.path()).unwrap();
    assert_complete(into.path());
    let starts: Vec<_> = server.requests().into_iter().map(|(_, start)| start).collect();
    assert_eq!(starts, [None, Some(20_000)].repeat(4));
}

#[test]
fn what_an_earlier_run_left_is_used() {
    let (server, into) = (Server::start(honest), tempdir().unwrap());
    fs::write(into.path().join(format!("{}.gz.part", MNIST_FILES[0])), &packed(0)[..30_000]).unwrap();
    mirror(&server, into.path()).unwrap();
    assert_complete(into.path());
    assert_eq!(server.requests()[0].1, Some(30_000));
}

#[test]
fn a_transfer_that_was_complete_is_not_made_again() {
    let (server, into) = (Server::start(honest), tempdir().unwrap());
    fs::write(into.path().join(format!("{}.gz.part", MNIST_FILES[0])), packed(0)).unwrap();
    mirror(&server, into.path()).unwrap();
    assert_complete(into.path());
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn what_came_from_another_mirror_and_does_not_fit_is_fetched_anew() {
    let (server, into) = (Server::start(honest), tempdir().unwrap());
    for left in [vec![1; 30_000], vec![1; 90_000]] {
        fs::write(into.path().join(format!("{}.gz.part", MNIST_FILES[0])), left).unwrap();
        mirror(&server, into.path()).unwrap();
        assert_complete(into.path());
        fs::remove_file(into.path().join(MNIST_FILES[0])).unwrap();
    }
}

#[test]
fn a_server_that_ignores_ranges_sends_everything_anew() {
    let server = Server::start(|path, _| honest(path, None));
    let into = tempdir().unwrap();
    fs::write(into.path().join(format!("{}.gz.part", MNIST_FILES[0])), &packed(0)[..30_000]).unwrap();
    mirror(&server, into.path()).unwrap();
    assert_complete(into.path());
}

#[test]
fn a_server_that_always_breaks_off_is_an_error_and_what_came_is_kept() {
    let server = Server::start(|path, _| honest(path, None).cut_after(20_000));
    let into = tempdir().unwrap();
    let error = mirror(&server, into.path()).unwrap_err().to_string();
    assert_eq!(error, format!("cannot download {}{}.gz", server.address(), MNIST_FILES[0]));
    let part = into.path().join(format!("{}.gz.part", MNIST_FILES[0]));
    assert!(fs::read(part).unwrap() == packed(0)[..20_000]);
}

#[test]
fn a_file_that_is_not_there_is_an_error_with_address_and_status() {
    let server = Server::start(|_, _| Reply::status(404));
    let into = tempdir().unwrap();
    let error = mirror(&server, into.path()).unwrap_err().to_string();
    assert_eq!(error, format!("{}{}.gz: expected the file, found HTTP status 404", server.address(), MNIST_FILES[0]));
}

#[test]
fn a_mirror_with_another_file_is_an_error_with_both_hashes_and_keeps_nothing_of_it() {
    let server = Server::start(|_, _| Reply::whole(packed(3)));
    let into = tempdir().unwrap();
    let error = mirror(&server, into.path()).unwrap_err().to_string();
    let [expected, .., found] = small_set().sha256;
    let url = format!("{}{}.gz", server.address(), MNIST_FILES[0]);
    assert_eq!(error, format!("{url}: expected contents with sha256 {expected}, found {found}"));
    assert_eq!(fs::read_dir(into.path()).unwrap().count(), 0);
}

#[test]
fn a_page_in_place_of_the_file_is_an_error() {
    let server = Server::start(|_, _| Reply::whole(b"<html>please log in</html>".to_vec()));
    let error = mirror(&server, tempdir().unwrap().path()).unwrap_err().to_string();
    assert!(error.contains("expected contents with sha256"), "{error}");
}

#[test]
fn no_server_is_an_error_with_the_address() {
    let address = Server::start(honest).address(); // stopped at once
    let agent = ureq::Agent::config_builder().proxy(None).build().into();
    let error = from_mirror(&small_set(), &agent, &address, tempdir().unwrap().path()).unwrap_err();
    assert!(chain(&error).starts_with(&format!("cannot download {address}{}.gz: ", MNIST_FILES[0])), "{error}");
}
