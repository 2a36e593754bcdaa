//! A bucket of our server, by its API and its signed addresses.

use super::super::Result;
use super::super::ours::Server;
use super::wire::{Content, Wire};

/// The files of the bucket that every project has.
const FILES: &str = "/v2.1/projects/default/buckets/default/files";

/// The default bucket. All is asked on a connection to its server.
pub struct Bucket {
    token: String,
    origin: String,
}

impl Bucket {
    /// The one of a server.
    pub fn of(server: &Server) -> Self {
        Self { token: server.token.clone(), origin: format!("http://{}", server.address) }
    }

    /// The signed path to PUT a file to.
    pub fn upload_path(&self, wire: &mut Wire, name: &str) -> Result<String> {
        self.signed(wire, "POST", &format!("{FILES}/{}", encoded(name)))
    }

    /// The signed path to GET a file from.
    pub fn download_path(&self, wire: &mut Wire, name: &str) -> Result<String> {
        self.signed(wire, "GET", &format!("{FILES}/{}/download", encoded(name)))
    }

    fn signed(&self, wire: &mut Wire, method: &str, path: &str) -> Result<String> {
        let told = wire.json(method, path, &self.token)?;
        let url = told["url"].as_str().and_then(|url| url.strip_prefix(&self.origin));
        url.map(str::to_owned).ok_or_else(|| format!("{method} {path} gave no address: {told}"))
    }

    /// Asks where to send a file, and sends it.
    pub fn store(&self, wire: &mut Wire, name: &str, content: Content<'_>) -> Result<()> {
        let path = self.upload_path(wire, name)?;
        wire.put(&path, content)
    }

    /// Entries of a list, of so many pages at the most.
    pub fn list(&self, wire: &mut Wire, query: &str, pages: usize) -> Result<usize> {
        let (mut found, mut token) = (0, String::new());
        for _ in 0..pages {
            let page = wire.json("GET", &format!("{FILES}?{query}{token}"), &self.token)?;
            let count = |what: &str| page[what].as_array().map_or(0, Vec::len);
            found += count("files") + count("prefixes");
            match page["continuation_token"].as_str() {
                Some(next) => token = format!("&continuation_token={next}"),
                None => break,
            }
        }
        Ok(found)
    }
}

fn encoded(name: &str) -> String {
    name.replace('/', "%2F")
}
