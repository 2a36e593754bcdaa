//! Builds with the real uv and the real index.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::Command,
    sync::{Mutex, OnceLock},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{BuildError, BuildUser, Builder, Environment, Given, Limits, Settings, Spec, SystemPackages};
use crate::{
    cgroup::Cgroups,
    interpreters::{self, Interpreter},
    uv::{Host, Index, IndexSettings, Uv, locate_or_fetch},
};

pub(super) struct Bench {
    pub builder: Builder,
    interpreter: Interpreter,
    offered: Vec<String>,
    log: Mutex<Vec<String>>,
    pub home: tempfile::TempDir,
    pub given: Given,
}

pub(super) fn host_index() -> Index {
    Index::resolve(&IndexSettings::default(), &Host::current(Vec::new()))
}

async fn uv(interpreter: &Interpreter) -> Uv {
    // Beside the test's program, so that the tests fetch it once.
    let tools = std::env::current_exe().unwrap().parent().unwrap().join("tools");
    locate_or_fetch(&tools, &host_index(), std::slice::from_ref(&interpreter.path)).await.unwrap()
}

/// Limits that nobody meets, with the groups of this host.
pub(super) fn limits() -> Limits {
    static CGROUPS: OnceLock<Cgroups> = OnceLock::new();
    let cgroups = CGROUPS.get_or_init(|| Cgroups::find(&format!("builds-{}", std::process::id())));
    Limits { size: 20_000_000_000, memory: 4_000_000_000, cgroups: cgroups.clone() }
}

impl Bench {
    pub async fn with(index: Index, time_limit: Duration) -> Self {
        let found = interpreters::find().await;
        let offered = found.iter().map(|it| it.minor.clone()).collect();
        let interpreter = found.into_iter().next().expect("the tests need a Python on PATH");
        let home = tempfile::tempdir().unwrap();
        let uv = uv(&interpreter).await;
        let root = home.path().join("environments");
        let r_repository = "http://127.0.0.1:9".to_owned();
        let settings = Settings {
            root,
            uv,
            index,
            r_repository,
            user: BuildUser::default(),
            time_limit,
            limits: limits(),
            cache_size: 0,
            system: SystemPackages::never(),
        };
        Self {
            builder: Builder::open(settings).unwrap(),
            interpreter,
            offered,
            log: Mutex::default(),
            home,
            given: Given::default(),
        }
    }

    pub async fn new() -> Self {
        Self::with(host_index(), Duration::from_secs(300)).await
    }

    pub fn python_minor(&self) -> &str {
        &self.interpreter.minor
    }

    /// Another Python of this host, when it has one.
    pub fn other_minor(&self) -> Option<&str> {
        self.offered.iter().map(String::as_str).find(|minor| *minor != self.interpreter.minor)
    }

    pub fn spec<'a>(&'a self, requirements: &'a str) -> Spec<'a> {
        Spec {
            requirements,
            interpreter: &self.interpreter,
            offered: &self.offered,
            scope: "tests",
            refresh: false,
            given: &self.given,
            apt: &[],
        }
    }

    pub async fn build(&self, requirements: &str) -> Result<Environment, BuildError> {
        let log = |line: &str| self.log.lock().unwrap().push(line.to_owned());
        self.builder.build(&self.spec(requirements), &log, &CancellationToken::new()).await
    }

    pub async fn message(&self, requirements: &str) -> String {
        match self.build(requirements).await {
            Err(BuildError::Failed(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    pub fn logged(&self, words: &str) -> bool {
        self.log.lock().unwrap().iter().any(|line| line.contains(words))
    }

    pub fn folders(&self) -> Vec<PathBuf> {
        let folder = self.home.path().join("environments/shared/environments");
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
    }

    pub fn work_is_gone(&self) -> bool {
        fs::read_dir(self.home.path().join("environments/work")).unwrap().count() == 0
    }
}

/// What Python code prints in the environment.
pub(super) fn python(environment: &Environment, code: &str) -> String {
    let output = Command::new(&environment.python).args(["-I", "-c", code]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_package_is_installed_once_and_found_again() {
    let bench = Bench::new().await;

    let first = bench.build("six==1.17.0\n").await.unwrap();
    let again = bench.build("# the same\nSix == 1.17.0").await.unwrap();

    assert_eq!(python(&first, "import six, sys; print(six.__version__, sys.prefix != sys.base_prefix)"), "1.17.0 True");
    assert!(!first.reused && first.size > 10_000, "{first:?}");
    assert_eq!(again, Environment { reused: true, ..first.clone() });
    assert!(bench.logged("six==1.17.0"));
    assert!(python(&first, "import six; print(six.__cached__)").ends_with(".pyc"));
    let links = python(&first, "import os, six; print(os.stat(six.__file__).st_nlink)");
    assert!(links.parse::<u32>().unwrap() > 1, "files are shared with the cache");
    assert!(bench.work_is_gone());
    let compiled = first.path.join(format!("lib/python{}/site-packages/__pycache__", bench.interpreter.minor));
    assert!(fs::read_dir(compiled).unwrap().count() > 0);
}

#[tokio::test]
async fn the_same_text_is_not_even_locked_again() {
    let bench = Bench::new().await;
    let first = bench.build("six").await.unwrap();
    bench.log.lock().unwrap().clear();

    let again = bench.build("six").await.unwrap();

    assert_eq!(again.key, first.key);
    let log = bench.log.lock().unwrap();
    assert_eq!(log[0], "These requirements were locked before; using the same versions");
    assert!(log.len() == 2 && log[1].starts_with("Importing "), "nothing of uv's: {log:?}");
}

#[tokio::test]
async fn locked_versions_that_are_gone_are_looked_for_again() {
    let bench = Bench::new().await;
    let first = bench.build("six").await.unwrap();
    let resolved = bench.home.path().join("environments/resolved");
    let kept = fs::read_dir(resolved).unwrap().next().unwrap().unwrap().path();
    fs::write(kept, "six==99 --hash=sha256:00\n").unwrap();

    let again = bench.build("six").await.unwrap();

    assert_eq!(again.key, first.key);
    assert!(bench.logged("cannot be installed any more"));
}

#[tokio::test]
async fn no_requirements_make_a_bare_python() {
    let bench = Bench::new().await;

    let bare = bench.build("# nothing\n").await.unwrap();

    assert_eq!(python(&bare, "import importlib.util as u; print(u.find_spec('pip'))"), "None");
    assert_eq!(bench.builder.find(&bare.key).map(|found| found.path), Some(bare.path));
}

#[tokio::test]
async fn every_python_of_this_host_can_be_built_for() {
    let bench = Bench::new().await;

    for interpreter in interpreters::find().await {
        let spec = Spec { interpreter: &interpreter, ..bench.spec("six==1.16.0") };
        let built = bench.builder.build(&spec, &|_| {}, &CancellationToken::new()).await.unwrap();

        let version = python(&built, "import six, platform; print(six.__version__, platform.python_version())");
        assert_eq!(version, format!("1.16.0 {}", interpreter.version));
    }
}

#[tokio::test]
async fn what_does_not_exist_is_named_with_what_does() {
    let bench = Bench::new().await;

    let message = bench.message("# wanted\nsix==99\n").await;
    assert!(
        message.starts_with("requirements.txt line 2: six==99 does not exist; the newest that can be had is 1."),
        "{message}"
    );

    let message = bench.message("six>=99").await;
    assert!(
        message.starts_with("requirements.txt line 1: six>=99 does not exist; the newest that can be had is 1."),
        "{message}"
    );

    let message = bench.message("modelyard-no-such-package-0").await;
    let wanted = "requirements.txt line 1: the package modelyard-no-such-package-0 was not found in the package index; \
                  check its name";
    assert_eq!(message, wanted);
    assert!(bench.logged("was not found in the"), "uv's own words are in the log");

    assert_eq!(bench.folders(), Vec::<PathBuf>::new());
    assert!(bench.work_is_gone());
}

#[tokio::test]
async fn conflicts_and_bad_lines_are_explained() {
    let bench = Bench::new().await;

    let message = bench.message("six==1.16.0\nsix==1.17.0\n").await;
    assert_eq!(
        message,
        "requirements.txt lines 1 and 2 cannot both be met: line 1 asks for six==1.16.0, and line 2 asks for six==1.17.0; \
         change the version of one of them, so that both accept the same six"
    );
    let message = bench.message("six\nsix=1\n").await;
    assert!(
        message.starts_with("requirements.txt line 2: 'six=1' is not a requirement: no such comparison"),
        "{message}"
    );
    let message = bench.message("six\n-e .\n").await;
    assert_eq!(message, "requirements.txt line 2: the option -e is not supported; list packages only");
}

#[tokio::test]
async fn an_index_that_is_not_there_is_said_to_be_unreachable() {
    let nowhere = IndexSettings { index_url: Some("http://127.0.0.1:9/simple".to_owned()), ..IndexSettings::default() };
    let env = BTreeMap::from([("UV_HTTP_RETRIES".to_owned(), "0".to_owned())]);
    let index = Index::resolve(&nowhere, &Host { env, ..Host::default() });
    let bench = Bench::with(index, Duration::from_secs(60)).await;

    let message = bench.message("six").await;

    assert!(
        message.starts_with(
            "The package index could not be reached at http://127.0.0.1:9/simple/six/: the connection was refused; "
        ),
        "{message}"
    );
}

#[tokio::test]
async fn builds_of_one_key_wait_for_each_other() {
    let bench = Bench::new().await;

    let (one, two) = tokio::join!(bench.build("six==1.17.0"), bench.build("six == 1.17.0"));

    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.key, two.key);
    assert!(one.reused != two.reused, "one of them built it");
}

#[tokio::test]
async fn half_built_environments_are_removed_at_the_start() {
    let bench = Bench::new().await;
    let whole = bench.build("").await.unwrap();
    let half = whole.path.with_file_name("0".repeat(64));
    fs::create_dir_all(half.join("bin")).unwrap();
    fs::create_dir_all(bench.home.path().join("environments/work/old/tmp")).unwrap();

    let again = Builder::open(bench.builder.settings.clone()).unwrap();

    assert!(!half.exists() && bench.work_is_gone());
    assert!(again.find(&whole.key).is_some());
}

#[tokio::test]
async fn environments_are_listed_with_their_use_and_removed() {
    let bench = Bench::new().await;
    let built = bench.build("").await.unwrap();
    let before = bench.builder.usage().unwrap();

    bench.builder.touch(&built.key).unwrap();
    let after = bench.builder.usage().unwrap();

    assert_eq!((before.len(), before[0].key.as_str(), before[0].size), (1, built.key.as_str(), built.size));
    assert!(after[0].last_used > before[0].last_used);
    assert!(bench.builder.remove(&built.key).unwrap());
    assert!(!bench.builder.remove("../../x").unwrap());
    assert!(bench.builder.usage().unwrap().is_empty() && bench.folders().is_empty());
    assert!(!bench.build("").await.unwrap().reused);
}

#[tokio::test]
async fn what_packages_cost_to_import_is_measured_once_and_told_each_time() {
    let bench = Bench::new().await;

    let first = bench.build("markdown-it-py==3.0.0").await.unwrap();

    assert!(bench.logged("Importing the packages takes ") && bench.logged("markdown-it-py "));
    assert!(!bench.logged("WARNING"), "{:?}", bench.log);
    let record = fs::read_to_string(first.path.with_extension("json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert!(record["imports"]["total_us"].as_u64().unwrap() > 0, "{record}");
    bench.log.lock().unwrap().clear();
    assert!(bench.build("markdown-it-py==3.0.0").await.unwrap().reused);
    assert!(bench.logged("Importing the packages takes "));
}

#[tokio::test]
async fn a_package_that_cannot_be_imported_is_told_and_has_no_network_and_no_variables() {
    let packages = tempfile::tempdir().unwrap();
    let code = r#"
import os, setuptools
os.makedirs("probe", exist_ok=True)
with open("probe/__init__.py", "w") as out:
    out.write("""
import os, socket
interfaces = [name for _, name in socket.if_nameindex()]
raise RuntimeError(f"sees {interfaces} {os.environ.get('TOKEN')} {os.access(__file__, os.W_OK)}")
""")
setuptools.setup(name="probe", version="1.0", packages=["probe"])
"#;
    let mut bench = Bench::new().await;
    let index = super::confined_tests::source_package(packages.path(), code);
    let settings = Settings { index, ..bench.builder.settings.clone() };
    bench.builder = Builder::open(settings).unwrap();
    bench.given = Given { env: vec![("TOKEN".into(), "secret".into())], mark: "1".into() };

    bench.build("probe==1.0").await.unwrap();

    let told = "WARNING A package cannot be imported: probe RuntimeError: sees ['lo'] None False";
    assert!(bench.logged(told), "{:?}", bench.log);
}

#[tokio::test]
async fn imports_that_take_too_long_are_told_and_no_failure() {
    let bench = Bench::new().await;
    let built = bench.build("six==1.17.0").await.unwrap();
    let (spec, never) = (bench.spec("six==1.17.0"), CancellationToken::new());
    let requirements = bench.builder.requirements(&spec).unwrap();
    let log = |line: &str| bench.log.lock().unwrap().push(line.to_owned());
    let build = bench.builder.prepare(&spec, &requirements, &log, &never, Duration::ZERO);

    let imports = build.imports(&built.path, bench.home.path()).await;

    assert_eq!(imports.unwrap(), None);
    assert!(bench.logged("takes longer than can be waited for"), "{:?}", bench.log);
}
