//! Looks at a package's code without running it: does it parse, and which methods has its `Deployment`?
//!
//! The worker's own `check.py`, or `check.R`, does it, under the interpreter the code is for, because each has its own grammar.
//! It only parses, but a parser is a large program to hand somebody else's text to, so it runs confined and limited.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use modelyard_types::language::Language;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::{
    environments::{
        BuildUser,
        confined::{Confined, Seen},
        run::{Done, Ended, Run, run},
    },
    interpreters::Interpreter,
};

const TIME: Duration = Duration::from_secs(20);
const CPU_SECONDS: u64 = 10;
const MEMORY_BYTES: u64 = 1 << 30;
const MOST_OUTPUT: u64 = 64 << 10;
const LONGEST_MESSAGE: usize = 1024;

/// What to look at, and with what.
#[derive(Debug, Clone)]
pub struct Look<'a> {
    /// The Python or R that will run the code.
    pub interpreter: &'a Interpreter,
    /// The folder that holds the workers, `modelyard_worker` and `modelyard_r`.
    pub worker: &'a Path,
    /// The folder of the unpacked package.
    pub package: &'a Path,
    /// The main file's name, with or without its extension.
    pub main_file: &'a str,
    /// Who looks when the server is root.
    pub user: BuildUser,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The code has a `Deployment`.
    Deployment {
        /// Whether it has a method `request`; `None` when that shows only when it runs.
        has_request: Option<bool>,
        /// The same for `requests`.
        has_requests: Option<bool>,
    },
    /// The code cannot be served.
    Broken {
        /// Why, in a sentence that names the line when there is one.
        message: String,
        /// The line.
        line: Option<u64>,
    },
}

#[derive(Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default)]
    has_request: Option<bool>,
    #[serde(default)]
    has_requests: Option<bool>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    line: Option<u64>,
}

/// Looks at the code. An error means that our side failed, not the code.
pub async fn look(look: &Look<'_>) -> io::Result<Found> {
    let program = match look.interpreter.language {
        Language::Python => look.worker.join("modelyard_worker/check.py"),
        Language::R => look.worker.join("modelyard_r/check.R"),
    };
    let program = program.canonicalize()?;
    let limits = Run { time: TIME, cancel: &CancellationToken::new(), most_output: MOST_OUTPUT, log: &|_| {} };
    match run(confined(look, program)?, &limits).await? {
        Ended::Done(done) => judge(&done, look),
        Ended::TimedOut | Ended::Cancelled => {
            Ok(broken(format!("{} could not be read within {} seconds", look.main_file, TIME.as_secs())))
        }
    }
}

fn confined(look: &Look<'_>, program: PathBuf) -> io::Result<Confined> {
    let interpreter = look.interpreter;
    let package = look.package.canonicalize()?;
    let worker = look.worker.canonicalize()?;
    let mut args: Vec<OsString> = match interpreter.language {
        Language::Python => vec!["-I".into(), "-B".into(), program.into()],
        Language::R => {
            let file = format!("--file={}", program.display());
            vec!["--vanilla".into(), "--no-echo".into(), file.into(), "--args".into()]
        }
    };
    args.extend([package.clone().into(), look.main_file.into()]);
    let sees = [&interpreter.path, &interpreter.base_prefix, &worker, &package];
    Ok(Confined {
        args,
        env: vec![("LANG".into(), "C.UTF-8".into())],
        sees: sees.map(|path| Seen { path: path.clone(), writable: false }).to_vec(),
        cpu_seconds: Some(CPU_SECONDS),
        memory_bytes: Some(MEMORY_BYTES),
        offline: true,
        ..Confined::of(interpreter.path.clone(), look.user)
    })
}

fn judge(done: &Done, look: &Look<'_>) -> io::Result<Found> {
    let (main_file, language) = (look.main_file, look.interpreter.language.title());
    if let Ok(answer) = serde_json::from_slice::<Answer>(&done.output) {
        return Ok(match answer {
            Answer { ok: true, has_request, has_requests, .. } => Found::Deployment { has_request, has_requests },
            Answer { message, line, .. } => {
                Found::Broken { message: message.chars().take(LONGEST_MESSAGE).collect(), line }
            }
        });
    }
    // By itself the program answers or says what is wrong with the call; all else is a crash of Python on this code.
    if done.status.code() == Some(2) || done.errors.iter().any(|line| line.starts_with("Traceback")) {
        let last = done.errors.last().map(String::as_str).unwrap_or_default();
        return Err(io::Error::other(format!("the look at the code failed: {last}")));
    }
    tracing::warn!(main_file, language, status = %done.status, "an interpreter crashed on a package's code");
    Ok(broken(format!("{language} crashed while it read {main_file}; it may be too large or too deeply nested")))
}

fn broken(message: String) -> Found {
    Found::Broken { message, line: None }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails here says where")]
mod tests {
    //! The look with the worker's real program, and with programs that misbehave.

    use std::fs;

    use super::*;
    use crate::interpreters;

    async fn look_at(worker: &Path, code: &str) -> io::Result<Found> {
        let interpreter = interpreters::find().await.into_iter().next().expect("the tests need a Python on PATH");
        let package = tempfile::tempdir()?;
        fs::write(package.path().join("deployment.py"), code)?;
        let look = Look {
            interpreter: &interpreter,
            worker,
            package: package.path(),
            main_file: "deployment.py",
            user: BuildUser::default(),
        };
        super::look(&look).await
    }

    async fn look_at_code(code: &str) -> Found {
        let worker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../worker");
        look_at(&worker, code).await.unwrap()
    }

    /// What comes of a `check.py` that is this code.
    async fn look_with(check: &str) -> io::Result<Found> {
        let worker = tempfile::tempdir()?;
        fs::create_dir(worker.path().join("modelyard_worker"))?;
        fs::write(worker.path().join("modelyard_worker/check.py"), check)?;
        look_at(worker.path(), "").await
    }

    #[tokio::test]
    async fn a_deployment_is_found_with_its_methods() {
        let found = look_at_code("class Deployment:\n    def request(self, data):\n        return data\n").await;

        assert_eq!(found, Found::Deployment { has_request: Some(true), has_requests: Some(false) });
    }

    #[tokio::test]
    async fn code_that_does_not_parse_is_broken_at_its_line() {
        let Found::Broken { message, line } = look_at_code("import os\n\ndef f(:\n").await else {
            panic!("it is found")
        };

        assert_eq!(line, Some(3));
        assert!(message.starts_with("deployment.py line 3: "), "{message}");
    }

    #[tokio::test]
    async fn code_without_a_deployment_is_broken() {
        let Found::Broken { message, line } = look_at_code("class Model: pass\n").await else { panic!("it is found") };

        assert_eq!((message.as_str(), line), ("deployment.py has no class 'Deployment'", None));
    }

    #[tokio::test]
    async fn code_is_looked_at_and_not_run() {
        let home = tempfile::tempdir().unwrap();
        let mark = home.path().join("mark");
        let code = format!("open({mark:?}, 'w').close()\nclass Deployment: pass\n");

        look_at_code(&code).await;

        assert!(!mark.exists());
    }

    #[tokio::test]
    async fn code_that_exhausts_the_parser_is_broken() {
        for code in ["(".repeat(100_000), format!("x = {}1", "-".repeat(1_000_000)), "[".repeat(90) + &"]".repeat(90)] {
            let found = look_at_code(&code).await;
            assert!(matches!(found, Found::Broken { .. }), "{found:?}");
        }
    }

    #[tokio::test]
    async fn a_crash_of_python_becomes_a_sentence() {
        let crashed =
            broken("Python crashed while it read deployment.py; it may be too large or too deeply nested".to_owned());
        assert_eq!(look_with("import os; os.abort()").await.unwrap(), crashed);
        assert_eq!(look_with("import os; os.kill(os.getpid(), 9)").await.unwrap(), crashed);
        assert_eq!(look_with("print('nonsense')").await.unwrap(), crashed);
    }

    #[tokio::test]
    async fn our_own_faults_are_not_the_codes() {
        let error = look_with("raise KeyError('x')").await.unwrap_err();
        assert_eq!(error.to_string(), "the look at the code failed: KeyError: 'x'");
        assert!(look_at(Path::new("/nowhere"), "").await.is_err());
    }

    #[tokio::test]
    async fn the_look_is_limited_in_memory() {
        let Found::Deployment { has_request, .. } = look_with(
            "import json\ntry:\n    x = bytearray(2 << 30)\n    big = True\nexcept MemoryError:\n    big = False\n\
             print(json.dumps({'ok': True, 'has_request': big}))",
        )
        .await
        .unwrap() else {
            panic!("it is broken")
        };

        assert_eq!(has_request, Some(false));
    }
}
