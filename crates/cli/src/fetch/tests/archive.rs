//! Data sets distributed as one archive.

use super::*;

const NAMES: [&str; 2] = ["one.bin", "names.txt"];

/// An archive of both files, an executable and an unrelated file, all in a folder.
fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (index, name) in NAMES.into_iter().chain(["readme.html"]).enumerate() {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents(index).len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("set-batches-bin/{name}"), &contents(index)[..]).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn set() -> ArchiveSet {
    let hash: String = Sha256::digest(archive()).iter().map(|byte| format!("{byte:02x}")).collect();
    ArchiveSet {
        name: "small",
        file: "small.tar.gz",
        sha256: hash.leak(),
        files: &[("one.bin", Some(50_000)), ("names.txt", None)],
        mirrors: &[],
    }
}

fn mirror(addresses: &[&str], into: &Path) -> Result<(), Error> {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
    set().download(&agent, addresses, into)
}

fn assert_complete(folder: &Path) {
    assert_eq!(fs::read_dir(folder).unwrap().count(), 2, "nothing else, such as the archive");
    for (index, name) in NAMES.iter().enumerate() {
        assert!(fs::read(folder.join(name)).unwrap() == contents(index), "{name}");
    }
}

#[test]
fn the_files_of_an_archive_in_a_folder_are_put_in_place_and_not_fetched_again() {
    let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
    fs::write(from.path().join("small.tar.gz"), archive()).unwrap();
    assert!(set().fetch(Some(from.path()), into.path()).unwrap());
    assert_complete(into.path());
    assert!(!set().fetch(Some(Path::new("/no/such/folder")), into.path()).unwrap());
}

#[test]
fn a_file_of_another_size_is_replaced() {
    let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
    fs::write(from.path().join("small.tar.gz"), archive()).unwrap();
    fs::write(into.path().join("names.txt"), contents(1)).unwrap();
    fs::write(into.path().join("one.bin"), &contents(0)[1..]).unwrap();
    assert!(set().fetch(Some(from.path()), into.path()).unwrap());
    assert_complete(into.path());
}

#[test]
fn a_folder_without_the_archive_is_an_error_that_names_both() {
    let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
    let error = set().fetch(Some(from.path()), into.path()).unwrap_err().to_string();
    assert_eq!(error, format!("expected small.tar.gz in {}, found no such file", from.path().display()));
}

#[test]
fn a_wrong_archive_is_an_error_with_both_hashes_and_puts_nothing_in_place() {
    let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
    fs::write(from.path().join("small.tar.gz"), packed(0)).unwrap();
    let error = set().fetch(Some(from.path()), into.path()).unwrap_err().to_string();
    assert!(error.contains(&format!("expected contents with sha256 {}, found", set().sha256)), "{error}");
    assert_eq!(fs::read_dir(into.path()).unwrap().count(), 0);
}

#[test]
fn a_transfer_of_an_archive_goes_on_where_it_broke_off() {
    let server = Server::start(|_, start| match start {
        None => Reply::whole(archive()).cut_after(20_000),
        Some(start) => Reply::rest(archive(), start),
    });
    let into = tempdir().unwrap();
    mirror(&[&server.address()], into.path()).unwrap();
    assert_complete(into.path());
    let requests = server.requests();
    assert_eq!(requests, [("/small.tar.gz".to_owned(), None), ("/small.tar.gz".to_owned(), Some(20_000))]);
}

#[test]
fn a_mirror_that_fails_is_followed_by_the_next() {
    let broken = Server::start(|_, _| Reply::status(404));
    let wrong = Server::start(|_, _| Reply::whole(packed(0)));
    let honest = Server::start(|_, _| Reply::whole(archive()));
    let into = tempdir().unwrap();
    mirror(&[&broken.address(), &wrong.address(), &honest.address()], into.path()).unwrap();
    assert_complete(into.path());
}

#[test]
fn no_mirror_says_what_was_tried_and_what_to_do() {
    let broken = Server::start(|_, _| Reply::status(503));
    let error = mirror(&[&broken.address()], tempdir().unwrap().path()).unwrap_err().to_string();
    assert!(error.contains(&format!("{}small.tar.gz: expected the file, found HTTP status 503", broken.address())));
    assert!(error.contains("put small.tar.gz in a folder and run `kiln data small --from FOLDER`"), "{error}");
}
