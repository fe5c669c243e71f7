//! A local web server on a free port for the duration of a test.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Path and first byte of a request.
type Request = (String, Option<usize>);

pub struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

pub struct Reply {
    head: String,
    body: Vec<u8>,
}

impl Reply {
    pub fn status(status: u16) -> Reply {
        Reply { head: format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n"), body: Vec::new() }
    }

    pub fn whole(body: Vec<u8>) -> Reply {
        Reply { head: format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n", body.len()), body }
    }

    pub fn rest(body: Vec<u8>, start: usize) -> Reply {
        let size = body.len();
        if start >= size {
            let head =
                format!("HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */{size}\r\nContent-Length: 0\r\n");
            return Reply { head, body: Vec::new() };
        }
        let (last, rest) = (size - 1, size - start);
        let range = format!("Content-Range: bytes {start}-{last}/{size}\r\nContent-Length: {rest}\r\n");
        Reply { head: format!("HTTP/1.1 206 Partial Content\r\n{range}"), body: body[start..].to_vec() }
    }

    /// Announces the whole size and sends only `bytes`.
    pub fn cut_after(mut self, bytes: usize) -> Reply {
        self.body.truncate(bytes);
        self
    }
}

impl Server {
    pub fn start(answer: impl Fn(&str, Option<usize>) -> Reply + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, stop) = (Arc::<Mutex<Vec<Request>>>::default(), Arc::new(AtomicBool::new(false)));
        let (log, stopped) = (requests.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let mut stream = stream.unwrap();
                let Some((path, start)) = read_request(&stream) else { continue };
                let reply = answer(&path, start);
                log.lock().unwrap().push((path, start));
                // The client may close the connection early.
                let _ = write!(stream, "{}Connection: close\r\n\r\n", reply.head);
                let _ = stream.write_all(&reply.body);
            }
        });
        Server { address, requests, stop, thread: Some(thread) }
    }

    pub fn address(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        self.thread.take().map(JoinHandle::join);
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
    let range = headers.iter().find_map(|line| line.strip_prefix("range: bytes="));
    Some((path, range.and_then(|range| range.trim_end_matches('-').parse().ok())))
}
