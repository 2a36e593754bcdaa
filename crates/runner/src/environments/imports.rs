//! What a new environment's packages cost to import: most of a cold start, so it is measured once and kept with the environment.
//!
//! The packages that the requirements name are imported by a Python of the environment, without network and without the
//! variables of the build. One that cannot be imported is told in the log of the build and no failure of it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    BuildError, Log,
    requirements::normal,
    steps::{Place, Steps},
};

/// How long the imports may take.
const TIME: Duration = Duration::from_secs(60);
/// How many packages are listed.
const MOST: usize = 10;
/// How many modules are imported.
const MOST_MODULES: usize = 200;
/// The longest reason why a package cannot be imported.
const LONGEST_REASON: usize = 300;
const OTHERS: &str = "the standard library and others";
const MARK: &str = "modelyard-import:";

/// Which modules each distribution has: `{"name": ["module", …]}`.
const LIST: &str = r#"
import importlib.metadata, json
found = {}
for one in importlib.metadata.distributions():
    names = (one.read_text("top_level.txt") or "").split()
    if not names:
        for file in one.files or []:
            if file.suffix in (".py", ".so"):
                names.append(file.parts[0].split(".")[0])
    found[str(one.metadata["Name"])] = sorted({n for n in names if n.isidentifier() and not n.startswith("_")})
print(json.dumps(found))
"#;

/// Imports its arguments, and goes on after one that fails.
const IMPORT: &str = r#"
import sys
print("modelyard-import:", file=sys.stderr, flush=True)
for name in sys.argv[1:]:
    try:
        __import__(name)
    except BaseException as e:
        print("modelyard-import:", name, type(e).__name__ + ":", " ".join(str(e).split()), file=sys.stderr, flush=True)
"#;

/// What the packages of an environment cost to import, in a process of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imports {
    /// Microseconds of all together.
    pub total_us: u64,
    /// Packages and their own microseconds, the dearest first; what is left of the total belongs to the standard library and
    /// to packages that are not listed.
    pub packages: Vec<(String, u64)>,
    /// Modules that cannot be imported, with the reason.
    pub failed: Vec<String>,
}

impl Imports {
    /// The lines of a build's log.
    pub(super) fn tell(&self, log: Log<'_>) {
        let ms = |us: u64| us.div_ceil(1000);
        let listed: u64 = self.packages.iter().map(|(_, us)| us).sum();
        let others = self.total_us.saturating_sub(listed);
        let all = self.packages.iter().map(|(name, us)| (name.as_str(), *us)).chain([(OTHERS, others)]);
        let parts: Vec<String> = all.map(|(name, us)| format!("{name} {}", ms(us))).collect();
        if self.total_us > 0 {
            log(&format!("Importing the packages takes {} ms: {}", ms(self.total_us), parts.join(", ")));
        }
        for failed in &self.failed {
            log(&format!("WARNING A package cannot be imported: {failed}"));
        }
    }
}

/// Imports the packages and measures it; nothing when that cannot be done, which is no failure of the build.
pub(super) async fn measure(
    steps: &Steps<'_>,
    wanted: &[String],
    place: &Place<'_>,
    log: Log<'_>,
) -> Result<Option<Imports>, BuildError> {
    if wanted.is_empty() {
        return Ok(None);
    }
    let steps = Steps { deadline: steps.deadline.min(Instant::now() + TIME), ..steps.clone() };
    match try_measure(&steps, wanted, place).await {
        Ok(imports) => {
            imports.tell(log);
            Ok(Some(imports))
        }
        Err(BuildError::Cancelled) => Err(BuildError::Cancelled),
        Err(BuildError::TimedOut(_)) => {
            log("Importing the packages takes longer than can be waited for; it was not measured to its end");
            Ok(None)
        }
        Err(error) => {
            tracing::warn!(%error, "the imports of an environment could not be measured");
            Ok(None)
        }
    }
}

async fn try_measure(steps: &Steps<'_>, wanted: &[String], place: &Place<'_>) -> Result<Imports, BuildError> {
    let listed = steps.python(&[], &[LIST], place, &|_| {}).await?;
    let known: BTreeMap<String, Vec<String>> = serde_json::from_slice(&listed.output).map_err(io::Error::other)?;
    let is_wanted = |name: &str| wanted.iter().any(|it| *it == normal(name));
    let modules = known.iter().filter(|(name, _)| is_wanted(name)).flat_map(|(_, modules)| modules);
    let args: Vec<&str> = [IMPORT].into_iter().chain(modules.map(String::as_str).take(MOST_MODULES)).collect();
    let owner =
        known.iter().flat_map(|(name, modules)| modules.iter().map(|it| (it.as_str(), name.as_str()))).collect();
    let reading = Mutex::new(Reading { owner, ..Reading::default() });
    let line = |line: &str| reading.lock().unwrap_or_else(PoisonError::into_inner).line(line);
    steps.python(&["-X", "importtime"], &args, place, &line).await?;
    Ok(reading.into_inner().unwrap_or_else(PoisonError::into_inner).end())
}

/// Reads what Python says of its imports: `import time: SELF | CUMULATIVE | MODULE`.
#[derive(Default)]
struct Reading<'a> {
    /// The package of each module.
    owner: HashMap<&'a str, &'a str>,
    own: BTreeMap<&'a str, u64>,
    /// Python itself has started.
    begun: bool,
    total_us: u64,
    failed: Vec<String>,
}

impl Reading<'_> {
    fn line(&mut self, line: &str) {
        if let Some(failed) = line.strip_prefix(MARK) {
            if self.begun && self.failed.len() < MOST {
                self.failed.push(failed.trim().chars().take(LONGEST_REASON).collect());
            }
            self.begun = true;
        } else if let Some((self_us, module)) = line.strip_prefix("import time:").and_then(parts).filter(|_| self.begun)
        {
            self.total_us += self_us;
            if let Some(package) = module.split('.').next().and_then(|top| self.owner.get(top)) {
                *self.own.entry(package).or_default() += self_us;
            }
        }
    }

    fn end(self) -> Imports {
        let mut packages: Vec<(String, u64)> = self.own.into_iter().map(|(name, us)| (name.to_owned(), us)).collect();
        packages.sort_by_key(|(name, us)| (Reverse(*us), name.clone()));
        packages.truncate(MOST);
        Imports { total_us: self.total_us, packages, failed: self.failed }
    }
}

fn parts(times: &str) -> Option<(u64, &str)> {
    let mut parts = times.split('|');
    Some((parts.next()?.trim().parse().ok()?, parts.nth(1)?.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_belong_to_the_package_of_their_module() {
        let lines = "import time: self [us] | cumulative | imported package\n\
                     import time:        90 |         90 | zipimport\n\
                     modelyard-import:\n\
                     import time:       100 |        100 |     numpy.core\n\
                     import time:        50 |        150 |   numpy\n\
                     a line of a package's own\n\
                     import time:        30 |         30 |   json\n\
                     import time:      2000 |       2180 | sklearn\n\
                     modelyard-import: cv2 ImportError: libGL.so.1: cannot open shared object file\n\
                     import time: nonsense\n";
        let owner = HashMap::from([("numpy", "numpy"), ("sklearn", "scikit-learn"), ("cv2", "opencv-python")]);
        let mut reading = Reading { owner, ..Reading::default() };
        lines.lines().for_each(|line| reading.line(line));

        let imports = reading.end();

        assert_eq!(imports.total_us, 2180);
        assert_eq!(imports.packages, [("scikit-learn".to_owned(), 2000), ("numpy".to_owned(), 150)]);
        assert_eq!(imports.failed, ["cv2 ImportError: libGL.so.1: cannot open shared object file"]);
        let told = Mutex::new(Vec::new());
        imports.tell(&|line| told.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned()));
        let told = told.into_inner().unwrap_or_default();
        assert_eq!(
            told,
            [
                "Importing the packages takes 3 ms: scikit-learn 2, numpy 1, the standard library and others 1",
                "WARNING A package cannot be imported: cv2 ImportError: libGL.so.1: cannot open shared object file",
            ]
        );
    }
}
