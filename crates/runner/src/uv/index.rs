//! Which package index uv is told to use.
//!
//! The first of these that says something counts, and the others are left out:
//! 1. [`IndexSettings`], the operator's own;
//! 2. uv's settings of the host: `UV_…` variables that name an index, or a `uv.toml` (the user's, else the system's)
//!    that does; they are passed on as they are;
//! 3. pip's settings of the host, variables and `pip.conf` files, which uv does not read: `index-url`,
//!    `extra-index-url`, `find-links`, `no-index`, `trusted-host`, `cert`, `client-cert`, `proxy` and `timeout` are
//!    translated. As pip knows no order among indexes, uv is told to take the best version of all of them;
//! 4. nothing: uv's own default index.
//!
//! Proxy and certificate variables of the host, and `UV_…` variables about the network alone, are passed on always.
//! Nothing else of the host's environment reaches a build. Credentials inside an address can be read by the code of a
//! package that is built from its source; give an index that needs them a token that may only read.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::pip;

/// The operator's settings for package indexes. All empty means: by the host's own settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IndexSettings {
    /// The index that takes the place of the default one.
    pub index_url: Option<String>,
    /// More indexes; the best version of all of them is taken.
    pub extra_index_urls: Vec<String>,
    /// Folders and pages with package files.
    pub find_links: Vec<String>,
    /// Never ask an index: only `find_links` and what was fetched before.
    pub no_index: bool,
    /// Addresses that a `requirements.txt` may name in its own index options, with all that lies below them.
    pub allowed: Vec<String>,
}

/// Where the settings in force came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// [`IndexSettings`]
    Configured,
    /// uv's settings of the host.
    Uv,
    /// pip's settings of the host.
    Pip,
    /// Nobody said anything.
    Default,
}

/// The settings in force, in uv's words.
#[derive(Debug, Clone)]
pub struct Index {
    /// Where they came from.
    pub source: Source,
    /// Options for each uv command that looks for packages.
    pub(crate) args: Vec<String>,
    /// Variables for uv.
    pub(crate) env: BTreeMap<String, String>,
    /// The text of the `uv.toml` to use.
    pub(crate) config: Option<String>,
    /// Files and folders that uv must be able to read.
    pub(crate) files: Vec<PathBuf>,
    /// See [`IndexSettings::allowed`].
    pub(crate) allowed: Vec<String>,
}

/// What of the host decides; taken once, so that tests can make one up.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// The server's environment variables.
    pub env: BTreeMap<String, String>,
    /// `/etc`
    pub etc: PathBuf,
    /// The base folders of the Pythons whose `pip.conf` counts.
    pub prefixes: Vec<PathBuf>,
}

impl Host {
    /// The host as the server's own environment describes it.
    pub fn current(prefixes: Vec<PathBuf>) -> Self {
        let env = env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
        Self { env, etc: PathBuf::from("/etc"), prefixes }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The folder of the user's settings.
    pub(super) fn config_folder(&self) -> Option<PathBuf> {
        let folder = self.get("XDG_CONFIG_HOME").map(PathBuf::from);
        folder.or_else(|| self.get("HOME").map(|home| Path::new(home).join(".config")))
    }
}

/// Variables of the host that builds may see.
const NETWORK: [&str; 11] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSL_CLIENT_CERT",
];
/// The same of uv's.
const UV_NETWORK: [&str; 9] = [
    "UV_NATIVE_TLS",
    "UV_SYSTEM_CERTS",
    "UV_INSECURE_HOST",
    "UV_HTTP_TIMEOUT",
    "UV_HTTP_RETRIES",
    "UV_REQUEST_TIMEOUT",
    "UV_OFFLINE",
    "UV_CONCURRENT_DOWNLOADS",
    "UV_EXCLUDE_NEWER",
];
const UV_INDEX: [&str; 6] =
    ["UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX"];
/// Keys of `uv.toml` that name an index.
const UV_TOML_INDEX: [&str; 5] = ["index", "index-url", "extra-index-url", "find-links", "no-index"];

impl Index {
    /// Options for a command of uv that looks for packages.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        &self.args
    }

    /// Environment variables for uv.
    #[must_use]
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// The text of the `uv.toml` to use.
    #[must_use]
    pub fn configuration(&self) -> Option<&str> {
        self.config.as_deref()
    }

    /// Decides which settings are in force.
    pub fn resolve(settings: &IndexSettings, host: &Host) -> Self {
        let mut index = Self {
            source: Source::Default,
            args: Vec::new(),
            env: BTreeMap::new(),
            config: None,
            files: Vec::new(),
            allowed: settings.allowed.clone(),
        };
        index.pass(host, |name| NETWORK.contains(&name) || UV_NETWORK.contains(&name));
        let uv_toml = uv_toml(host);
        let uv_index = |name: &str| UV_INDEX.contains(&name);
        if settings.says_something() {
            index.source = Source::Configured;
            index.configure(settings);
        } else if host.env.keys().any(|name| uv_index(name)) || uv_toml.as_deref().is_some_and(names_an_index) {
            index.source = Source::Uv;
            index.config = uv_toml;
            let credentials = |name: &str| name.starts_with("UV_INDEX_") || name == "UV_KEYRING_PROVIDER";
            index.pass(host, |name| uv_index(name) || credentials(name));
        } else {
            index.config = uv_toml;
            let pip = pip::read(host);
            index.translate(&pip);
        }
        for name in ["SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_CLIENT_CERT"] {
            index.files.extend(index.env.get(name).map(PathBuf::from));
        }
        index.files.retain(|file| file.is_absolute());
        index
    }

    fn pass(&mut self, host: &Host, wanted: impl Fn(&str) -> bool) {
        let wanted = host.env.iter().filter(|(name, value)| wanted(name) && !value.is_empty());
        self.env.extend(wanted.map(|(name, value)| (name.clone(), value.clone())));
    }

    fn configure(&mut self, settings: &IndexSettings) {
        self.option("--default-index", &settings.index_url);
        self.option("--extra-index-url", &settings.extra_index_urls);
        self.find_links(&settings.find_links);
        if settings.no_index {
            self.args.push("--no-index".to_owned());
        }
        if !settings.extra_index_urls.is_empty() {
            self.args.extend(["--index-strategy".to_owned(), "unsafe-best-match".to_owned()]);
        }
    }

    fn translate(&mut self, pip: &pip::Settings) {
        let settings = IndexSettings {
            index_url: pip.one("index-url"),
            extra_index_urls: pip.many("extra-index-url"),
            find_links: pip.many("find-links"),
            no_index: pip.flag("no-index"),
            allowed: Vec::new(),
        };
        if settings.says_something() {
            self.source = Source::Pip;
            self.configure(&settings);
        }
        self.option("--allow-insecure-host", &pip.many("trusted-host"));
        let proxy = pip.one("proxy");
        let timeout = pip.one("timeout").or_else(|| pip.one("default-timeout"));
        for (name, value) in [
            ("SSL_CERT_FILE", pip.one("cert")),
            ("SSL_CLIENT_CERT", pip.one("client-cert")),
            ("HTTPS_PROXY", proxy.clone()),
            ("HTTP_PROXY", proxy),
            ("UV_HTTP_TIMEOUT", timeout.filter(|seconds| seconds.parse::<u32>().is_ok())),
        ] {
            self.env.extend(value.map(|value| (name.to_owned(), value)));
        }
    }

    fn option<'a>(&mut self, option: &str, values: impl IntoIterator<Item = &'a String>) {
        self.args.extend(values.into_iter().flat_map(|value| [option.to_owned(), value.clone()]));
    }

    fn find_links(&mut self, places: &[String]) {
        self.option("--find-links", places);
        self.files.extend(places.iter().map(PathBuf::from));
    }

    /// The same for pip, which needs to be told only what it does not read itself.
    pub(super) fn pip_args(&self) -> Vec<String> {
        let mut args = Vec::new();
        if self.source == Source::Configured {
            let mut pairs = self.args.iter();
            while let Some(option) = pairs.next() {
                match option.as_str() {
                    "--no-index" => args.push(option.clone()),
                    "--index-strategy" => drop(pairs.next()),
                    _ => {
                        args.push(option.replace("--default-index", "--index-url"));
                        args.extend(pairs.next().cloned());
                    }
                }
            }
        }
        if self.source == Source::Uv {
            let url = self.env.get("UV_DEFAULT_INDEX").or_else(|| self.env.get("UV_INDEX_URL"));
            args.extend(url.into_iter().flat_map(|url| ["--index-url".to_owned(), url.clone()]));
            let extra = self.env.get("UV_EXTRA_INDEX_URL").map(String::as_str).unwrap_or_default();
            args.extend(extra.split_whitespace().flat_map(|url| ["--extra-index-url".to_owned(), url.to_owned()]));
        }
        args
    }
}

impl IndexSettings {
    fn says_something(&self) -> bool {
        self.index_url.is_some() || self.no_index || !self.extra_index_urls.is_empty() || !self.find_links.is_empty()
    }
}

/// The text of the one `uv.toml` that counts: the one that is named, the user's, or the system's.
fn uv_toml(host: &Host) -> Option<String> {
    if host.get("UV_NO_CONFIG").is_some() {
        return None;
    }
    let named = host.get("UV_CONFIG_FILE").map(PathBuf::from);
    let user = host.config_folder().map(|folder| folder.join("uv/uv.toml"));
    let system = host.etc.join("uv/uv.toml");
    named.into_iter().chain(user).chain([system]).find_map(|file| fs::read_to_string(file).ok())
}

fn names_an_index(toml: &str) -> bool {
    toml.lines().map(str::trim).any(|line| {
        line == "[[index]]"
            || line.split_once('=').is_some_and(|(key, _)| UV_TOML_INDEX.contains(&key.trim().trim_matches('"')))
    })
}
