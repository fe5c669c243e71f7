//! Files of a hub, from a local web server.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use kiln::hub::Hub;

const CONTENT: &[u8] = b"what is in the file";
const REPOSITORY: &str = "owner/some-model.v1";

/// A hub with one repository with one file.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(sent: usize) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, stop) = (Arc::<Mutex<Vec<String>>>::default(), Arc::new(AtomicBool::new(false)));
        let (log, stopped) = (requests.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(|stream| stream.ok()) {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                log.lock().unwrap().extend(answer(stream, sent));
            }
        });
        Server { address, requests, stop, thread: Some(thread) }
    }

    fn hub(&self, cache: &tempfile::TempDir) -> Hub {
        Hub { endpoint: format!("http://{}", self.address), cache: cache.path().to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        self.thread.take().map(JoinHandle::join);
    }
}

/// Answers a request like the hub, with at most `sent` bytes, and returns its path.
fn answer(mut stream: TcpStream, sent: usize) -> Option<String> {
    let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
    let range = headers.iter().find_map(|line| line.strip_prefix("range: bytes=")?.split_once('-'));
    let (first, last) = range.unwrap_or(("0", ""));
    let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().unwrap_or(CONTENT.len() - 1));
    let status = match path.strip_prefix(&format!("/{REPOSITORY}/resolve/main/")) {
        Some("folder/model.safetensors") => "206 Partial Content",
        Some(_) => "404 Not Found",
        None => "401 Unauthorized",
    };
    let body = if status.starts_with("206") { CONTENT.get(first..=last)? } else { b"" };
    let known =
        format!("x-repo-commit: 0123abcd\r\netag: \"a1b2\"\r\nContent-Range: bytes {first}-{last}/{}", CONTENT.len());
    let head = format!("HTTP/1.1 {status}\r\n{known}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // The client may close the connection early.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[..body.len().min(sent)]));
    Some(path)
}

#[test]
fn a_file_is_fetched_once() {
    let (server, cache) = (Server::start(usize::MAX), tempfile::tempdir().unwrap());
    let hub = server.hub(&cache);
    let mut told = Vec::new();
    let path = hub.file(REPOSITORY, "folder/model.safetensors", |done, all| told.push((done, all))).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), CONTENT);
    assert!(path.starts_with(cache.path()) && path.ends_with("folder/model.safetensors"), "{}", path.display());
    assert_eq!(told.last(), Some(&(CONTENT.len() as u64, CONTENT.len() as u64)));
    let requests = server.requests.lock().unwrap().len();
    drop(server);
    assert_eq!(hub.file(REPOSITORY, "folder/model.safetensors", |_, _| ()).unwrap(), path);
    assert_eq!(requests, 2); // how large it is, and all of it
}

#[test]
fn what_the_server_says_is_told() {
    let (server, cache) = (Server::start(usize::MAX), tempfile::tempdir().unwrap());
    let hub = server.hub(&cache);
    let error = |repository: &str, file: &str| hub.file(repository, file, |_, _| ()).unwrap_err().to_string();
    let from = &hub.endpoint;
    assert_eq!(
        error(REPOSITORY, "other.bin"),
        format!("cannot fetch other.bin of {REPOSITORY} from {from}: HTTP status 404, no such file")
    );
    assert_eq!(
        error("nobody/nothing", "x"),
        format!(
            "cannot fetch x of nobody/nothing from {from}: HTTP status 401: the repository does not exist, or requires \
             `hf auth login`"
        )
    );
}

#[test]
fn half_a_file_is_none_and_the_rest_is_fetched_later() {
    let cache = tempfile::tempdir().unwrap();
    let hub = Server::start(7).hub(&cache);
    let error = hub.file(REPOSITORY, "folder/model.safetensors", |_, _| ()).unwrap_err().to_string();
    assert!(error.starts_with("cannot fetch folder/model.safetensors of owner/some-model.v1 from http://"), "{error}");
    let server = Server::start(7);
    assert!(server.hub(&cache).file(REPOSITORY, "folder/model.safetensors", |_, _| ()).is_err());
    let server = Server::start(usize::MAX);
    let path = server.hub(&cache).file(REPOSITORY, "folder/model.safetensors", |_, _| ()).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), CONTENT);
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub { endpoint: "http://127.0.0.1:9".to_owned(), cache: cache.path().to_owned() };
    for (repository, file) in [("", "x"), ("a/b/c", "x"), ("../b", "x"), ("a b", "x"), ("a/b?c", "x")] {
        let error = hub.file(repository, file, |_, _| ()).unwrap_err().to_string();
        assert!(error.starts_with("repository: expected OWNER/NAME"), "{error}");
    }
    for file in ["", "/x", "../x", "x/../../y", "x//y", "x\\y", "x#y"] {
        let error = hub.file("a/b", file, |_, _| ()).unwrap_err().to_string();
        assert!(error.starts_with("file: expected the path of a file in the repository"), "{error}");
    }
}
