//! The root of an instance whose environment has system packages: their files over the host's.

use std::{fs, path::Path};

use super::PROGRAMS;
use crate::{environments::mounted_below, init::orders::Step};

/// The steps to what all instances see, with the files of a layer over it.
pub(super) fn over(host: &[Step], layer: &Path) -> Vec<Step> {
    let mut steps = Vec::new();
    for step in host {
        let at = match step {
            Step::Bind { at, .. } | Step::Link { at, .. } => at,
            _ => {
                steps.push(step.clone());
                continue;
            }
        };
        let ours = layer.join(at.trim_start_matches('/'));
        match step {
            Step::Bind { from, .. } if PROGRAMS.contains(&at.as_str()) && ours.is_dir() => {
                let lowers = vec![ours.to_string_lossy().into_owned(), from.clone()];
                steps.push(Step::Layers { at: at.clone(), lowers });
                steps.extend(mounted_below(from).into_iter().map(|at| Step::Bind {
                    from: at.clone(),
                    at,
                    write: false,
                }));
            }
            // What the layer has of the configuration comes below.
            _ if at.starts_with("/etc/") && fs::symlink_metadata(&ours).is_ok() => {}
            _ => steps.push(step.clone()),
        }
    }
    for folder in ["/etc", "/opt", "/var/lib"] {
        steps.extend(all_in(&layer.join(folder.trim_start_matches('/')), folder));
    }
    steps
}

/// Everything in a folder of the layer, one by one: others may be put beside it.
fn all_in(from: &Path, at: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let at = format!("{at}/{name}");
        match fs::read_link(&path) {
            Ok(to) => steps.push(Step::Link { at, to: to.to_string_lossy().into_owned() }),
            Err(_) => steps.push(Step::Bind { at, from: path.to_string_lossy().into_owned(), write: false }),
        }
    }
    steps.sort_by_key(|step| match step {
        Step::Link { at, .. } | Step::Bind { at, .. } => at.clone(),
        _ => String::new(),
    });
    steps
}
