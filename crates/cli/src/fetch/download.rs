//! Resumable downloads.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use indicatif::ProgressBar;
use ureq::Agent;
use ureq::http::header::{ACCEPT_ENCODING, CONTENT_RANGE, RANGE};

use crate::error::Error;

/// The HTTP client, with a timeout of a minute.
pub fn agent() -> Agent {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_resolve(seconds(30))
        .timeout_connect(seconds(30))
        .timeout_per_read(seconds(60))
        .user_agent(concat!("kiln/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// Downloads `url` to the file `part`, continuing after its current contents. After a broken connection it requests the
/// rest, as long as each attempt makes progress; received data stay in `part`.
///
/// Returns whether part of it existed before.
pub fn download(agent: &Agent, url: &str, part: &Path, bar: &ProgressBar) -> Result<bool, Error> {
    let mut file = OpenOptions::new().create(true).append(true).open(part).map_err(Error::file("write", part))?;
    let length = |file: &File| file.metadata().map(|data| data.len()).map_err(Error::file("read", part));

    let mut furthest = length(&file)?;
    let mut resumed = furthest > 0;
    loop {
        let Some(reply) = request(agent, url, length(&file)?)? else { return Ok(resumed) };
        if reply.start == 0 {
            file.set_len(0).map_err(Error::file("write", part))?;
            resumed = false;
        }
        bar.set_length(reply.end.unwrap_or(0));
        bar.set_position(reply.start);
        let Err(error) = io::copy(&mut bar.wrap_read(reply.body), &mut file) else { return Ok(resumed) };
        let now = length(&file)?;
        if now <= furthest {
            return Err(Error::Download { url: url.to_owned(), source: error.into() });
        }
        furthest = now;
    }
}

/// A response: the bytes from `start` on, up to `end` if known.
struct Reply {
    start: u64,
    end: Option<u64>,
    body: Box<dyn Read>,
}

/// Requests the data after the first `have` bytes. `None` if there are none.
fn request(agent: &Agent, url: &str, have: u64) -> Result<Option<Reply>, Error> {
    // Without `identity`, a server may compress the body, and ranges would refer to the compressed data.
    let mut request = agent.get(url).header(ACCEPT_ENCODING, "identity");
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
    }
    let response = request.call().map_err(|error| Error::Download { url: url.to_owned(), source: error.into() })?;

    let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok()).unwrap_or_default();
    let (first, end) = content_range(range);
    let status = response.status().as_u16();
    let reply = |start, end, body: ureq::Body| Ok(Some(Reply { start, end, body: Box::new(body.into_reader()) }));
    match status {
        200 => reply(0, response.body().content_length(), response.into_body()),
        206 if have > 0 && first == Some(have) => reply(have, end, response.into_body()),
        416 if have > 0 && end == Some(have) => Ok(None),
        206 | 416 if have > 0 => self::request(agent, url, 0),
        _ => Err(Error::Status { url: url.to_owned(), status }),
    }
}

/// The first byte and the whole size in `bytes 100-199/200`, `bytes 100-199/*` or `bytes */200`.
fn content_range(text: &str) -> (Option<u64>, Option<u64>) {
    let Some((range, whole)) = text.trim().strip_prefix("bytes ").and_then(|text| text.split_once('/')) else {
        return (None, None);
    };
    (range.split('-').next().and_then(|first| first.trim().parse().ok()), whole.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_gives_first_byte_and_size() {
        assert_eq!(content_range("bytes 100-199/200"), (Some(100), Some(200)));
        assert_eq!(content_range("bytes 100-199/*"), (Some(100), None));
        assert_eq!(content_range("bytes */200"), (None, Some(200)));
        assert_eq!(content_range(""), (None, None));
        assert_eq!(content_range("lines 1-2/3"), (None, None));
    }
}
