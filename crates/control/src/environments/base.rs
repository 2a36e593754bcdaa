//! Base environments: one for each Python that was found on the server, and one for its R.

use modelyard_runner::interpreters::Interpreter;
use modelyard_store::environments::{self, tags};
use modelyard_store::{Environment, Store, Tx};
use modelyard_types::labels::Labels;
use modelyard_types::language::InterpreterKey;
use modelyard_types::versions::VersionStatus;
use modelyard_types::{EnvironmentId, Result, Timestamp};

use super::new_tag;

/// Makes the base environments agree with the interpreters that were found: one per minor version of a language.
/// Those whose interpreter is gone are deprecated, since versions may still name them.
pub(crate) async fn reconcile_base(store: &Store, found: &[Interpreter]) -> Result<()> {
    let mut tx = store.begin().await?;
    let known = environments::list_base(&mut tx).await?;
    for interpreter in found {
        let name = base_name(interpreter);
        match known.iter().find(|base| base.name == name) {
            Some(base) if !base.deprecated => {}
            Some(base) => {
                deprecate(&mut tx, base.clone(), false).await?;
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
            deprecate(&mut tx, base, true).await?;
        }
    }
    Ok(tx.commit().await?)
}

/// Says of a base environment, and of those that users made on top of it, whether it is deprecated.
async fn deprecate(tx: &mut Tx, base: Environment, deprecated: bool) -> Result<()> {
    let mut concerned = environments::on_top_of(&mut *tx, base.id).await?;
    concerned.retain(|it| !it.implicit);
    concerned.push(base);
    for environment in concerned {
        let environment = Environment { deprecated, updated_at: Timestamp::now(), ..environment };
        environments::update(tx, &environment).await?;
    }
    Ok(())
}

fn base_environment(name: String, interpreter: &Interpreter) -> Environment {
    let (now, title) = (Timestamp::now(), InterpreterKey::of(&interpreter.key()).title());
    Environment {
        id: EnvironmentId::new(),
        project_id: None,
        name,
        description: format!("{title} as it is installed on the server"),
        display_name: title,
        labels: Labels::default(),
        base_environment_id: None,
        implicit: false,
        hidden: false,
        system: true,
        gpu_required: false,
        deprecated: false,
        supports_request_format: true,
        interpreter: interpreter.key(),
        created_at: now,
        updated_at: now,
    }
}

/// `python3-11`, `r4-2`.
fn base_name(interpreter: &Interpreter) -> String {
    format!("{}{}", interpreter.language.name(), interpreter.minor.replace('.', "-"))
}
