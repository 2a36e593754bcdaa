//! Base environments: one for each Python that was found on the server.

use modelyard_runner::interpreters::Interpreter;
use modelyard_store::environments::{self, tags};
use modelyard_store::{Environment, Store};
use modelyard_types::labels::Labels;
use modelyard_types::versions::VersionStatus;
use modelyard_types::{EnvironmentId, Result, Timestamp};

use super::new_tag;

/// Makes the base environments agree with the interpreters that were found: one per minor version of Python.
/// Those whose interpreter is gone are deprecated, since versions may still name them.
pub(crate) async fn reconcile_base(store: &Store, found: &[Interpreter]) -> Result<()> {
    let mut tx = store.begin().await?;
    let known = environments::list_base(&mut tx).await?;
    let now = Timestamp::now();
    for interpreter in found {
        let name = base_name(interpreter);
        match known.iter().find(|base| base.name == name) {
            Some(base) if !base.deprecated => {}
            Some(base) => {
                let base = Environment { deprecated: false, updated_at: now, ..base.clone() };
                environments::update(&mut tx, &base).await?;
            }
            None => {
                let base = base_environment(name, interpreter);
                environments::insert(&mut tx, &base).await?;
                tags::insert(&mut tx, &new_tag(base.id, VersionStatus::Available)).await?;
            }
        }
    }
    for base in known {
        if !base.deprecated && !found.iter().any(|interpreter| base_name(interpreter) == base.name) {
            let base = Environment { deprecated: true, updated_at: now, ..base };
            environments::update(&mut tx, &base).await?;
        }
    }
    Ok(tx.commit().await?)
}

fn base_environment(name: String, interpreter: &Interpreter) -> Environment {
    let now = Timestamp::now();
    Environment {
        id: EnvironmentId::new(),
        project_id: None,
        name,
        display_name: format!("Python {}", interpreter.minor),
        description: format!("Python {} as it is installed on the server", interpreter.minor),
        labels: Labels::default(),
        base_environment_id: None,
        implicit: false,
        hidden: false,
        system: true,
        gpu_required: false,
        deprecated: false,
        supports_request_format: true,
        interpreter: interpreter.minor.clone(),
        created_at: now,
        updated_at: now,
    }
}

/// `3.11` → `python3-11`.
fn base_name(interpreter: &Interpreter) -> String {
    format!("python{}", interpreter.minor.replace('.', "-"))
}
