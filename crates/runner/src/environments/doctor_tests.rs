//! Requirements that really fail, against packages and an index of the test's own.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use zip::{ZipWriter, write::SimpleFileOptions};

use super::{BuildError, Builder, Limits, Settings, confined::changes_user, tests::Bench};
use crate::cgroup::Cgroups;
use crate::uv::{Host, Index, IndexSettings};

const ANY: &str = "py3-none-any";
const TIME: Duration = Duration::from_secs(120);

/// A folder with packages.
pub(super) struct Packages(tempfile::TempDir);

impl Packages {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A wheel with this metadata beside its name, and a file of random bytes.
    fn wheel_of(&self, name: &str, version: &str, tag: &str, more: &str, bytes: usize) -> &Self {
        let mut zip =
            ZipWriter::new(fs::File::create(self.0.path().join(format!("{name}-{version}-{tag}.whl"))).unwrap());
        let info = format!("{name}-{version}.dist-info");
        let mut random = vec![0; bytes];
        fs::File::open("/dev/urandom").unwrap().read_exact(&mut random).unwrap();
        let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}");
        let wheel = format!("Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n");
        let record =
            format!("{name}/__init__.py,,\n{name}/data,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n");
        for (path, bytes) in [
            (format!("{name}/__init__.py"), &b""[..]),
            (format!("{name}/data"), &random),
            (format!("{info}/METADATA"), metadata.as_bytes()),
            (format!("{info}/WHEEL"), wheel.as_bytes()),
            (format!("{info}/RECORD"), record.as_bytes()),
        ] {
            zip.start_file(path, SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        self
    }

    pub fn wheel(&self, name: &str, version: &str, more: &str) -> &Self {
        self.wheel_of(name, version, ANY, more, 0)
    }

    /// The folder as the only place to get packages from.
    pub fn index(&self) -> Index {
        let find_links = vec![self.0.path().display().to_string()];
        let settings = IndexSettings { find_links, no_index: true, ..IndexSettings::default() };
        Index::resolve(&settings, &Host::default())
    }

    async fn told(&self, requirements: &str) -> String {
        Bench::with(self.index(), TIME).await.message(requirements).await
    }
}

#[tokio::test]
async fn a_version_that_does_not_exist_comes_with_its_neighbours() {
    let packages = Packages::new();
    for version in ["1.0", "2.0", "3.5"] {
        packages.wheel("apple", version, "");
    }
    packages.wheel("crumble", "1.0", "Requires-Dist: apple==9\n");
    let bench = Bench::with(packages.index(), TIME).await;

    let line = "requirements.txt line 2: ";
    let between = bench.message("# c\nApple == 2.1\n").await;
    assert_eq!(between, format!("{line}apple==2.1 does not exist; the nearest that do are 2.0 and 3.5"));
    let below = bench.message("# c\napple==0.1\n").await;
    assert_eq!(below, format!("{line}apple==0.1 does not exist; the oldest that can be had is 1.0"));
    let above = bench.message("# c\napple>=7\n").await;
    assert_eq!(above, format!("{line}apple>=7 does not exist; the newest that can be had is 3.5"));
    let through = bench.message("# c\ncrumble\n").await;
    assert_eq!(
        through,
        format!("{line}crumble needs apple==9, which does not exist; the newest that can be had is 3.5")
    );
    assert!(bench.work_is_gone());
}

#[tokio::test]
async fn a_package_that_does_not_exist_comes_with_the_one_that_is_meant() {
    let packages = Packages::new();
    packages.wheel("crumble", "1.0", "Requires-Dist: appel\n");

    let told = packages.told("crumble\npanads\n").await;
    assert_eq!(
        told,
        "requirements.txt line 2: the package panads was not found in the package index; did you mean pandas?"
    );
    let told = packages.told("crumble\n").await;
    assert_eq!(told, "requirements.txt line 1: crumble needs appel, which was not found in the package index");
}

#[tokio::test]
async fn a_package_for_other_pythons_names_them() {
    let packages = Packages::new();
    let bench = Bench::with(packages.index(), TIME).await;
    let here = bench.python_minor().to_owned();
    packages.wheel_of("kiwi", "1.0", "cp37-cp37m-manylinux_2_17_x86_64", "", 0);
    packages.wheel_of("kiwi", "1.0", "cp37-cp37m-manylinux_2_17_aarch64", "", 0);
    packages.wheel("newer", "1.0", "Requires-Python: >=3.99\n").wheel("newer", "0.9", "");

    let told = bench.message("kiwi==1.0").await;
    assert_eq!(
        told,
        format!(
            "requirements.txt line 1: kiwi==1.0 has no wheel for Python {here} on this server and no source to build it \
             from; it has wheels for Python 3.7, which this server does not offer; take another version of it"
        )
    );
    let told = bench.message("newer==1.0").await;
    assert_eq!(
        told,
        format!(
            "requirements.txt line 1: newer==1.0 needs Python >=3.99, and this environment has {here}; this server offers \
             no such Python; or take newer==0.9, the newest for this Python"
        )
    );
    if let Some(other) = bench.other_minor() {
        let tag = other.replace('.', "");
        packages.wheel_of("lime", "1.0", &format!("cp{tag}-cp{tag}-manylinux_2_17_x86_64"), "", 0);
        let told = bench.message("lime").await;
        assert!(told.ends_with(&format!("it has wheels for Python {other}; take such a base environment")), "{told}");
    }
}

#[tokio::test]
async fn a_conflict_names_both_who_ask() {
    let packages = Packages::new();
    packages.wheel("apple", "1.0", "").wheel("apple", "3.0", "");
    packages.wheel("pear", "1.0", "Requires-Dist: apple<2\n").wheel("plum", "1.0", "Requires-Dist: apple>=3\n");
    packages.wheel("salad", "1.0", "Requires-Dist: pear\n");

    let told = packages.told("# fruit\nsalad\nplum\n").await;

    assert_eq!(
        told,
        "requirements.txt lines 2 and 3 cannot both be met: line 2 asks for salad, which needs pear, which needs apple<2, \
         and line 3 asks for plum, which needs apple>=3; change the version of one of them, so that both accept the same \
         apple"
    );
}

/// A server that answers each call with the status that the call's path begins with.
fn refusing() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut head = [0; 2048];
                let read = stream.read(&mut head).unwrap_or(0);
                let text = String::from_utf8_lossy(&head[..read]).into_owned();
                let status = text.split('/').nth(1).unwrap_or("400").to_owned();
                let words = if status == "404" { "Not Found" } else { "Internal Server Error" };
                let _ = write!(stream, "HTTP/1.1 {status} {words}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            });
        }
    });
    port
}

async fn told_of(index_url: &str, requirements: &str) -> String {
    let settings = IndexSettings { index_url: Some(index_url.to_owned()), ..IndexSettings::default() };
    let env = BTreeMap::from([("UV_HTTP_RETRIES".to_owned(), "0".to_owned())]);
    let index = Index::resolve(&settings, &Host { env, ..Host::default() });
    Bench::with(index, TIME).await.message(requirements).await
}

#[tokio::test]
async fn trouble_with_the_index_is_told_with_its_address_and_its_kind() {
    let port = refusing();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let credentials = "the operator gives the index the right address and credentials (settings index_url and \
                       extra_index_urls)";
    for (url, wanted) in [
        (
            format!("http://me:hunter2@127.0.0.1:{port}/403/simple"),
            format!("The package index http://127.0.0.1:{port}/403/simple answered 403 Forbidden; {credentials}"),
        ),
        (
            format!("http://me:hunter2@127.0.0.1:{port}/401/simple"),
            format!("The package index http://127.0.0.1:{port}/401/simple answered 401 Unauthorized; {credentials}"),
        ),
        (
            format!("http://127.0.0.1:{port}/500/simple"),
            format!(
                "The package index http://127.0.0.1:{port}/500/simple/six/ answered 500 Internal Server Error; the trouble \
                 is there; try again later"
            ),
        ),
        (
            format!("http://127.0.0.1:{closed}/simple"),
            format!(
                "The package index could not be reached at http://127.0.0.1:{closed}/simple/six/: the connection was \
                 refused; the operator checks the address and port, and that the index is running"
            ),
        ),
        (
            "http://modelyard.invalid/simple".to_owned(),
            "The package index could not be reached at http://modelyard.invalid/simple/six/: its name is not known (DNS); \
             the operator checks the address and this server's name resolution"
                .to_owned(),
        ),
        (
            format!("https://127.0.0.1:{port}/200/simple"),
            format!(
                "The package index could not be reached at https://127.0.0.1:{port}/200/simple/six/: no secure connection \
                 (TLS) could be made; the operator checks its certificate; SSL_CERT_FILE names one of an authority of your \
                 own"
            ),
        ),
    ] {
        assert_eq!(told_of(&url, "six").await, wanted);
    }
    let address = format!("http://127.0.0.1:{port}/404/six-1.0-py3-none-any.whl");
    assert_eq!(
        told_of(&format!("http://127.0.0.1:{port}/404/"), &format!("# c\nsix @ {address}")).await,
        format!("requirements.txt line 2: the address {address} answered 404 Not Found; check the address")
    );
}

/// A small disk for as long as this lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(folder: &Path, size: &str) -> Self {
        fs::create_dir_all(folder).unwrap();
        nix::mount::mount(Some("none"), folder, Some("tmpfs"), nix::mount::MsFlags::empty(), Some(size)).unwrap();
        Self(folder.to_path_buf())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}

#[tokio::test]
async fn a_full_disk_is_told_with_its_folder() {
    if !changes_user() {
        // Only root can make a small disk; what is told of a full one is tested with uv's words beside the doctor.
        return;
    }
    let packages = Packages::new();
    packages.wheel_of("large", "1.0", ANY, "", 8 << 20);
    let mut bench = Bench::with(packages.index(), TIME).await;
    let _disk = SmallDisk::at(&bench.home.path().join("small"), "size=6m");
    let root = bench.home.path().join("small/environments");
    bench.builder = Builder::open(Settings { root: root.clone(), ..bench.builder.settings.clone() }).unwrap();

    let told = bench.message("large").await;

    let start =
        format!("The disk is full: the environment does not fit into {} (", root.canonicalize().unwrap().display());
    assert!(told.starts_with(&start) && told.contains(" MB are free there now)"), "{told}");
}

#[tokio::test]
async fn a_source_that_does_not_build_names_the_pythons_with_a_wheel() {
    let packages = Packages::new();
    let index = super::confined_tests::source_package(packages.0.path(), "raise RuntimeError('no compiler for you')");
    let bench = Bench::with(index, Duration::from_secs(300)).await;
    let Some(other) = bench.other_minor() else { return };
    let tag = other.replace('.', "");
    packages.wheel_of("probe", "1.0", &format!("cp{tag}-cp{tag}-manylinux_2_17_x86_64"), "", 0);

    let told = bench.message("probe==1.0").await;

    assert!(told.starts_with("requirements.txt line 1: probe"), "{told}");
    let end =
        format!("RuntimeError: no compiler for you; it has wheels for Python {other}: take such a base environment");
    assert!(told.ends_with(&end), "{told}");
}

#[test]
fn the_time_limit_is_told_with_its_setting() {
    let told = BuildError::TimedOut(Duration::from_secs(1800)).to_string();
    assert_eq!(
        told,
        "The build took longer than the 30 min that a build may take and was ended; ask for less, or ask the operator to \
         raise build_time_limit"
    );
}

#[tokio::test]
async fn an_environment_that_is_too_large_is_told_with_both_sizes() {
    let packages = Packages::new();
    packages.wheel_of("large", "1.0", ANY, "", 8 << 20);
    let mut bench = Bench::with(packages.index(), TIME).await;
    let limits = Limits { size: 5_000_000, ..super::tests::limits() };
    bench.builder = Builder::open(Settings { limits, ..bench.builder.settings.clone() }).unwrap();

    let told = bench.message("large").await;

    let start = "The environment is larger than the 5 MB that one may have: it had ";
    let end = " MB when its build was ended; ask for less, or ask the operator to raise build_size_limit";
    assert!(told.starts_with(start) && told.ends_with(end), "{told}");
    assert!(bench.folders().is_empty() && bench.work_is_gone());
}

/// The source of a package that does this when it is built.
async fn built_with(code: &str, limits: Limits) -> String {
    let packages = Packages::new();
    let index = super::confined_tests::source_package(packages.0.path(), code);
    let mut bench = Bench::with(index, Duration::from_secs(300)).await;
    bench.builder = Builder::open(Settings { limits, ..bench.builder.settings.clone() }).unwrap();
    bench.message("probe==1.0").await
}

#[tokio::test]
async fn a_step_that_takes_too_much_memory_is_ended_and_says_so() {
    let wanted = "The build needed more than the 300 MB of memory that a step of it may have; take packages that have \
                  wheels, or ask the operator to raise build_memory";
    // Once with the groups of this host, if it has any, and once without.
    for cgroups in [super::tests::limits().cgroups, Cgroups::default()] {
        let limits = Limits { memory: 300_000_000, cgroups, ..super::tests::limits() };
        let told = built_with("hoard = []\nwhile True: hoard.append(bytearray(10_000_000))", limits).await;
        assert_eq!(told, wanted);
    }
}

#[tokio::test]
async fn what_a_step_writes_counts_while_it_writes() {
    let code = "import time\nopen('large', 'wb').write(bytes(60_000_000))\ntime.sleep(1000)";
    let limits = Limits { size: 50_000_000, ..super::tests::limits() };
    let told = built_with(code, limits).await;
    assert!(told.starts_with("The environment is larger than the 50 MB that one may have: it had "), "{told}");
}

#[tokio::test]
async fn a_step_cannot_reach_into_the_kernel() {
    let code = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n\
                libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)\nmounted = ctypes.get_errno()\n\
                libc.ptrace(0, 0, 0, 0)\nraise RuntimeError(f'{mounted} {ctypes.get_errno()}')";
    let told = built_with(code, super::tests::limits()).await;
    assert!(told.contains("RuntimeError: 1 1"), "{told}");
}
