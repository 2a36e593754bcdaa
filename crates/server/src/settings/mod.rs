//! The settings: one documented struct, read once at start from flags, environment, a file and defaults.

mod load;
mod show;
mod values;

#[cfg(test)]
mod tests;

pub use load::{Given, InForce, load};
pub use show::{as_json, as_text};
pub use values::{
    Address, AddressBlock, Egress, LogFormat, Networks, Period, PublicUrl, RequestMemory, Secret, Size, WallLevel,
};

use std::path::PathBuf;

use values::Setting;

/// What is known of a setting besides its value.
pub struct Entry {
    /// Its name in the file; in capitals behind `MODELYARD_` that of its variable.
    pub key: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// The value in force when nobody says anything, as one would write it.
    pub default: &'static str,
    set: fn(&mut Settings, &str) -> Result<(), String>,
    show: fn(&Settings) -> String,
}

impl Entry {
    /// The environment variable of the setting.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.key.to_uppercase())
    }
}

/// What the names of our environment variables begin with.
pub const PREFIX: &str = "MODELYARD_";

macro_rules! settings {
    ($($(#[doc = $help:literal])+ $key:ident: $type:ty = $default:literal;)+) => {
        /// All that can be set. Lists are written with commas between their items.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Settings {
            $($(#[doc = $help])+ pub $key: $type,)+
        }

        /// Every setting, in the order of the documentation.
        pub const TABLE: &[Entry] = &[$(Entry {
            key: stringify!($key),
            help: concat!($($help),+),
            default: $default,
            set: |settings, text| {
                settings.$key = Setting::parse(text)?;
                Ok(())
            },
            show: |settings| settings.$key.show(),
        }),+];

        impl Default for Settings {
            fn default() -> Self {
                Self { $($key: Setting::parse($default).expect("defaults are valid, as a test shows"),)+ }
            }
        }
    };
}

settings! {
    /// The folder that holds everything: database, stored files, environments, the key and the first token.
    data: PathBuf = "./modelyard-data";
    /// The address to listen on. Port 0 takes a free one.
    listen: Address = "127.0.0.1:8080";
    /// A `postgres://` URL. Empty: a SQLite file in the data folder.
    database_url: Option<Secret> = "";
    /// The package index that takes the place of the default one. Empty, like the next four: by the settings of pip and
    /// uv on this host.
    index_url: Option<String> = "";
    /// More package indexes; of all of them the best version of a package is taken.
    extra_index_urls: Vec<String> = "";
    /// Folders and pages with package files.
    find_links: Vec<String> = "";
    /// Never ask a package index: only `find_links` and what was fetched before.
    no_index: bool = "false";
    /// Addresses that a `requirements.txt` may name in index options of its own, with all that lies below them.
    allowed_indexes: Vec<String> = "";
    /// The `Rscript` to run R code with; `none`: no R code. Empty: the first one on `PATH`, if there is one.
    rscript: Option<PathBuf> = "";
    /// The repository of R packages, in the form of CRAN. Empty: that of R's site profile on this host.
    r_repository: Option<String> = "";
    /// How long the build of an environment may take.
    build_time_limit: Period = "30 min";
    /// The most that an environment may hold.
    build_size_limit: Size = "20 GB";
    /// Memory of a step of a build; without a cgroup, of each of its processes.
    build_memory: Size = "8 GB";
    /// The most that the caches of packages may hold; those unused for longest are emptied first.
    build_cache_size: Size = "20 GB";
    /// Install the system packages (apt) that environments ask for, over the host's. Scripts of packages run as root then, with
    /// few of its rights; needs a server that is root.
    build_apt: bool = "false";
    /// How many environments are built at once.
    builds_at_once: u32 = "2";
    /// The least walls that user code runs in: 3, 2, or 1 for a plain process, which needs `unsafe_run` too.
    walls_level: WallLevel = "2";
    /// Run user code even where this host offers less than `walls_level`.
    unsafe_run: bool = "false";
    /// How far user code reaches into the network: `filtered`, the internet, and private networks only where a project opens
    /// them; `all`, what the host reaches; `none`, nothing but the platform. Empty: filtered where this host offers it, else
    /// all.
    instance_egress: Option<Egress> = "";
    /// Addresses for instances whose network is filtered, two for each, as `100.64.16.0/20`. Empty: a block of
    /// 100.64.0.0/10 that nothing on this host uses.
    instance_network: Option<AddressBlock> = "";
    /// Memory for all instances together. Empty: four fifths of what this host, or the server's cgroup, has.
    instance_memory: Option<Size> = "";
    /// Never give an instance more of the processors than its type has. Else it may use what the others leave.
    hard_cpu_limit: bool = "false";
    /// Memory for the bodies and results of requests, at least 128 MiB; new requests wait when it is taken. Empty: a tenth
    /// of what this host, or the server's cgroup, has, and no more than 1 GiB.
    request_memory: Option<RequestMemory> = "";
    /// How long a process of an instance may take to become ready.
    init_time_limit: Period = "15 min";
    /// How long a process of an instance may take to begin with a request when it has no other in work.
    begin_time_limit: Period = "30 s";
    /// How long a process of an instance may take to say goodbye.
    stop_grace: Period = "10 s";
    /// The largest deployment package that can be uploaded.
    package_size_limit: Size = "2 GB";
    /// The most that a deployment package may unpack to.
    package_unpacked_limit: Size = "8 GB";
    /// The address of this server as clients reach it, such as `https://modelyard.example.com`: signed addresses of files begin with
    /// it. Empty: by what each client calls it.
    public_url: Option<PublicUrl> = "";
    /// The largest file in a bucket.
    file_size_limit: Size = "100 GB";
    /// A JSON file that names the object store in which files of buckets of our own and blobs are kept: `provider`, `credentials` and
    /// `configuration`, as for a bucket. Empty: the data folder. Files that are in the data folder stay there.
    files_store: Option<PathBuf> = "";
    /// Networks in which providers of buckets may be, beside the internet, as `10.0.0.0/8,127.0.0.0/8`. Whoever creates a bucket
    /// names the address of its provider, so others cannot be reached: this host, private networks.
    bucket_networks: Networks = "";
    /// Where Google Cloud Storage is, if not at `https://storage.googleapis.com`: a private endpoint, for example.
    google_storage_url: Option<PublicUrl> = "";
    /// The most that copies of files in object stores may take, which are made for requests; those unused for longest go first.
    file_cache_size: Size = "5 GB";
    /// How long uploaded files of environments are kept that are neither in use nor the last of their environment.
    environment_file_retention: Period = "28 days";
    /// How many connections are open at once; more wait.
    connection_limit: u32 = "10000";
    /// How long a client may take to send the head of a request, counted from its connection or from the answer before;
    /// so this ends idle connections too.
    header_read_timeout: Period = "1 min";
    /// How long a client may pause while it sends the body of a request.
    body_read_timeout: Period = "1 min";
    /// How long running requests may go on after the server was asked to stop.
    shutdown_grace: Period = "20 s";
    /// How long log lines are kept.
    log_retention: Period = "28 days";
    /// The form of the server's own log: `text` or `json`.
    log_format: LogFormat = "text";
    /// What the server logs: `error`, `warn`, `info`, `debug` or `trace`, also by part: `info,modelyard_runner=debug`.
    log_level: String = "info";
}
