//! Azurite, Microsoft's own emulator of Azure Blob Storage: a program of Node.js, on a free port, gone when the test process is.

mod program;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::folders::temporary_folder;
pub use program::find_or_install;

/// What it prints before its address, when it listens.
const READY: &str = "successfully listens on ";
/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A store with one account and no containers.
pub struct Azurite {
    keeper: Child,
    /// Closing it ends the program.
    life: Option<ChildStdin>,
    url: String,
}

impl Azurite {
    /// The account.
    pub const ACCOUNT: &str = "devaccount";
    /// Its key.
    pub const KEY: &str = "c29tZSBrZXkgb2YgYW4gYWNjb3VudCBmb3IgdGVzdHM=";

    /// Finds or installs Azurite and starts it.
    ///
    /// # Panics
    /// When that cannot be; the message says what was tried.
    pub fn start() -> Self {
        Self::try_start().unwrap_or_else(|cause| panic!("no Azurite for tests: {cause}"))
    }

    fn try_start() -> Result<Self, String> {
        let program = find_or_install()?;
        let folder = temporary_folder("azurite");
        fs::create_dir(&folder).map_err(|cause| format!("{}: {cause}", folder.display()))?;
        let mut keeper = keep(&program, &folder)?;
        let life = keeper.stdin.take();
        let output = keeper.stdout.take().ok_or("its output is not ours")?;
        let mut azurite = Self { keeper, life, url: String::new() };
        azurite.url = format!("{}/{}", wait_until_ready(output)?, Self::ACCOUNT);
        Ok(azurite)
    }

    /// Where the account is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes an empty container. The call is signed for the whole account: what is signed for containers is not to make them.
    ///
    /// # Panics
    /// When that cannot be.
    #[cfg(feature = "stores")]
    pub fn make_container(&self, name: &str) {
        use base64::Engine;
        use base64::prelude::BASE64_STANDARD;
        let (account, until) = (Self::ACCOUNT, "2099-01-01T00:00:00Z");
        let text = format!("{account}\nc\nb\nc\n\n{until}\n\n\n2020-04-08\n");
        let key = BASE64_STANDARD.decode(Self::KEY).expect("it is base64");
        let signature = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key), text.as_bytes());
        let signature = BASE64_STANDARD.encode(signature).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        let query = format!("restype=container&sv=2020-04-08&ss=b&srt=c&sp=c&se={until}&sig={signature}");
        let answer = self.put(&format!("{account}/{name}?{query}"));
        let answer = answer.unwrap_or_else(|cause| panic!("Azurite does not answer: {cause}"));
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }

    /// PUT without a body; the whole answer.
    #[cfg(feature = "stores")]
    fn put(&self, path: &str) -> std::io::Result<String> {
        use std::io::Write;
        let host = self.url.trim_start_matches("http://").split('/').next().unwrap_or_default();
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let head = format!("PUT /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// What Azure calls a connection string.
    pub fn connection_string(&self) -> String {
        let (account, key) = (Self::ACCOUNT, Self::KEY);
        format!("DefaultEndpointsProtocol=http;AccountName={account};AccountKey={key};BlobEndpoint={};", self.url)
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        drop(self.life.take());
        let _ = self.keeper.wait();
    }
}

/// Runs the program until the keeper's standard input ends, which it does when this process ends, however it ends.
const KEEP: &str = r#"
trap '' INT TERM HUP
folder=$1; shift
"$@" </dev/null &
server=$!
exec >/dev/null
read -r _
kill -KILL "$server" 2>/dev/null
wait "$server"
cd / && rm -rf "$folder"
"#;

fn keep(program: &Path, folder: &Path) -> Result<Child, String> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", KEEP, "keeper"]).arg(folder).arg(program).current_dir(folder);
    command.args(["--blobPort", "0", "--silent", "--disableTelemetry", "--inMemoryPersistence"]);
    command.env("AZURITE_ACCOUNTS", format!("{}:{}", Azurite::ACCOUNT, Azurite::KEY));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    command.spawn().map_err(|cause| format!("it cannot be run: {cause}"))
}

/// It says where it listens. What it prints later is read and dropped, so that it never waits for us.
fn wait_until_ready(output: impl Read + Send + 'static) -> Result<String, String> {
    let (say, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some((_, address)) = line.split_once(READY) {
                let _ = say.send(address.trim().to_owned());
            }
        }
    });
    let url = heard.recv_timeout(PATIENCE).map_err(|_| "it did not say within a minute that it listens".to_owned())?;
    let address = url.trim_start_matches("http://");
    TcpStream::connect(address).map_err(|cause| format!("it does not answer at {address}: {cause}"))?;
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_its_keeper() {
        let azurite = Azurite::start();
        let address = azurite.url().trim_start_matches("http://").split('/').next().unwrap_or_default().to_owned();
        let folder = Path::new("/proc").join(azurite.keeper.id().to_string()).join("cwd");
        let folder = fs::read_link(folder).expect("the keeper lives in its folder");
        TcpStream::connect(&address).expect("it answers");
        drop(azurite);
        assert!(TcpStream::connect(&address).is_err() && !folder.exists());
    }
}
