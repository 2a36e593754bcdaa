//! From an instance's specification to the orders for its first process.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};

use modelyard_types::language::Language;
use nix::sys::resource::Resource;
use serde_json::Value;

use super::Shared;
use crate::cgroup::{Group, Limits};
use crate::init::orders::{Ids, Plan, Spawn};
use crate::protocol::{Start, VERSION};
use crate::runner::{InstanceSpec, StartError};
use crate::walls::{Inside, can_be_shown, root};

/// What is ready on the host for an instance.
#[derive(Debug)]
pub(super) struct Prepared {
    pub plan: Plan,
    pub group: Option<Group>,
}

/// Refuses what cannot be honoured.
pub(super) fn check(spec: &InstanceSpec) -> Result<(), StartError> {
    let refuse = |what: String| Err(StartError::Refused(what));
    if spec.processes == 0 {
        return refuse("An instance has at least one process".into());
    }
    for folder in spec.readable.iter().chain([&spec.program, &spec.package]) {
        if !can_be_shown(folder) {
            return refuse(format!("The path {} cannot be shown to an instance", folder.display()));
        }
    }
    if spec.system.as_ref().is_some_and(|layer| !layer.is_dir()) {
        return refuse("The system packages of the environment are gone; rebuild it".into());
    }
    match spec.env.iter().find(|(name, value)| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0')) {
        Some((name, _)) => refuse(format!("The environment variable {name:?} cannot be passed on")),
        None => Ok(()),
    }
}

/// Makes the folders and the cgroup of an instance.
pub(super) fn prepare(shared: &Shared, spec: &InstanceSpec, slot: u32) -> io::Result<Prepared> {
    let means = shared.walls.means;
    let own = shared.uid(slot).map(|uid| Ids { uid, gid: uid });
    // What may be refused comes before anything is made.
    if spec.system.is_some() && !(means.namespaces && means.overlay && means.root) {
        return Err(io::Error::other("this server cannot show system packages to instances as it is run now"));
    }
    let network = shared.network.own(spec.egress, slot).map_err(io::Error::other)?;
    let scratch = shared.scratch_of(spec);
    folders(&scratch, own)?;
    let group = if means.memory || means.pids { Some(group(shared, spec)?) } else { None };
    let scratch_text = text(&scratch)?;
    let mut plan = Plan {
        user_namespace: means.user_namespace,
        seccomp: means.seccomp,
        ids: own,
        limits: limits(spec, group.is_some(), own.is_some() || means.user_namespace),
        ..Plan::default()
    };
    if let Some(group) = &group {
        plan.join = group.join_files().iter().map(text).collect::<io::Result<_>>()?;
        plan.born_in = group.birth_folder().map(text).transpose()?;
    }
    let package = text(&spec.package)?;
    let mut readable = spec.readable.clone();
    readable.push(shared.settings.worker.clone());
    if means.namespaces {
        let inside = Inside {
            scratch: &scratch_text,
            package: &package,
            readable: &readable,
            proc: means.proc,
            overlay: means.overlay,
            ids: own.unwrap_or_else(ourselves),
            shared_bytes: spec.limits.memory_bytes / 2,
            resolver: network.as_ref().map(|own| own.resolver.as_str()),
            system: spec.system.as_deref(),
        };
        plan.steps = shared.host.steps(&inside);
        plan.reach = means.landlock.then(|| root::reach_inside(means.proc));
        plan.network = network.map(|own| own.order);
        plan.root = Some(format!("{scratch_text}/root"));
        plan.folder = root::PACKAGE.into();
        plan.env = env(spec, root::HOME, "/tmp");
    } else {
        let copy = format!("{scratch_text}/copy");
        plan.reach = means.landlock.then(|| shared.host.reach(&scratch_text, &readable));
        plan.steps = vec![crate::init::orders::Step::Copy { from: package, to: copy.clone() }];
        plan.env = env(spec, &format!("{scratch_text}/home"), &format!("{scratch_text}/tmp"));
        plan.folder = copy;
    }
    Ok(Prepared { plan, group })
}

fn ourselves() -> Ids {
    Ids { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() }
}

fn folders(scratch: &Path, own: Option<Ids>) -> io::Result<()> {
    let make = |path: &Path, mode: u32| fs::DirBuilder::new().mode(mode).create(path);
    make(scratch, 0o711)?;
    let private = [("tmp", 0o700), ("home", 0o700)];
    let open = ["root", "view", "upper", "work", "copy"].map(|name| (name, 0o755));
    for (name, mode) in private.into_iter().chain(open) {
        let path = scratch.join(name);
        make(&path, mode)?;
        if let Some(Ids { uid, gid }) = own {
            chown(&path, Some(uid), Some(gid))?;
        }
    }
    Ok(())
}

fn group(shared: &Shared, spec: &InstanceSpec) -> io::Result<Group> {
    let limits = Limits {
        memory_bytes: Some(spec.limits.memory_bytes),
        // The first process of the instance counts too.
        processes: Some(spec.limits.processes + 1),
        cpu: spec.limits.cpu,
        cpu_share: spec.limits.cpu_share,
    };
    shared.cgroups.make(&spec.name(), &limits)
}

/// Resource limits: always those that cost nothing, and rough ones where no cgroup keeps the exact count.
fn limits(spec: &InstanceSpec, grouped: bool, counted_alone: bool) -> Vec<(u32, u64)> {
    let mut limits = vec![
        (Resource::RLIMIT_CORE as u32, 0),
        (Resource::RLIMIT_FSIZE as u32, spec.limits.file_bytes),
        (Resource::RLIMIT_NOFILE as u32, spec.limits.open_files),
    ];
    if !grouped {
        // Counts what is reserved, not what is used, hence the allowance.
        limits.push((Resource::RLIMIT_DATA as u32, spec.limits.memory_bytes + (512 << 20)));
        let others = if counted_alone { 0 } else { tasks_of_ours() };
        limits.push((Resource::RLIMIT_NPROC as u32, spec.limits.processes + 1 + others));
    }
    limits
}

/// How many processes and threads our user has already: an ordinary user's limit counts them all.
fn tasks_of_ours() -> u64 {
    use std::os::unix::fs::MetadataExt;
    let ours = nix::unistd::geteuid().as_raw();
    let mut tasks = 0;
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if entry.metadata().is_ok_and(|found| found.uid() == ours) {
            tasks += fs::read_dir(entry.path().join("task")).map_or(0, |tasks| tasks.count() as u64);
        }
    }
    tasks
}

/// How many bytes of free memory a worker keeps at most, once it has needed them: 16 MiB.
const KEPT_MEMORY: &str = "16777216";

/// The environment variables of a worker. The user's own come last and win.
fn env(spec: &InstanceSpec, home: &str, tmp: &str) -> Vec<(String, String)> {
    let programs = spec.program.parent().and_then(Path::to_str).unwrap_or("/usr/bin");
    let mut env: Vec<(String, String)> = [
        ("PATH", format!("{programs}:/usr/local/bin:/usr/bin:/bin")),
        ("HOME", home.into()),
        ("TMPDIR", tmp.into()),
        ("USER", "deployment".into()),
        ("LANG", "C.UTF-8".into()),
        // Else the C library gives memory of large bodies back and fetches it again, page by page, several times a call.
        ("MALLOC_MMAP_THRESHOLD_", KEPT_MEMORY.into()),
        ("MALLOC_TRIM_THRESHOLD_", KEPT_MEMORY.into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for (name, value) in &spec.env {
        env.retain(|(known, _)| known != name);
        env.push((name.clone(), value.clone()));
    }
    env
}

/// The order to start a worker.
pub(super) fn spawn(shared: &Shared, spec: &InstanceSpec, serial: u64, process: u32) -> io::Result<Spawn> {
    let program = text(&spec.program)?;
    let mut command = match spec.language {
        Language::Python => {
            let main = shared.settings.worker.join("modelyard_worker/__main__.py");
            vec![program, text(main)?, "--fd".into(), "3".into()]
        }
        Language::R => {
            let main = shared.settings.worker.join("modelyard_r/main.R");
            // Nothing of the package's or the host's own may run first, such as an `.Rprofile` that goes to the network.
            vec![program, "--vanilla".into(), "--no-echo".into(), format!("--file={}", text(main)?), "--args".into()]
        }
    };
    let (instance, epoch) = (spec.instance.to_string(), spec.epoch.to_string());
    let who = [("--instance", instance), ("--epoch", epoch), ("--process", process.to_string())];
    command.extend(who.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
    Ok(Spawn { serial, command, relayed: spec.language == Language::R })
}

/// The first frame for a worker.
pub(super) fn start(spec: &InstanceSpec, folder: &str, process: u32) -> Start {
    let mut context = spec.load.context.clone();
    context.insert("process_id".into(), Value::from(process));
    Start {
        protocol: VERSION,
        base_directory: folder.to_owned(),
        main_file: spec.load.main_file.clone(),
        context,
        input_type: spec.load.input_type.clone(),
        output_type: spec.load.output_type.clone(),
        output_fields: spec.load.output_fields.clone(),
        input_files: spec.load.input_files.clone(),
    }
}

fn text(path: impl AsRef<Path>) -> io::Result<String> {
    let path: PathBuf = path.as_ref().into();
    path.into_os_string().into_string().map_err(|path| io::Error::other(format!("the path {path:?} is not UTF-8")))
}
