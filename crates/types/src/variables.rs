//! Environment variables: what clients send and receive, the rules of names and values, and which of them mean something to us.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::ids::VariableId;
use crate::names::VariableName;
use crate::patch::Patch;

/// The longest value, in bytes.
pub const MAX_VALUE: usize = 64 << 10;

/// What the names and values of one level may take together, in bytes. Those of three levels fit into what a program can be
/// started with, so that no instance fails to start for its variables.
pub const MAX_LEVEL: usize = 256 << 10;

/// What a variable counts for beside its name and value.
pub const OVERHEAD: usize = 32;

/// The variable that names the main file of a version's code.
pub const MAIN_FILE: &str = "SYS_DEPLOYMENT_FILE_NAME";
/// The older name of [`MAIN_FILE`], which counts where that one is not set.
pub const OLD_MAIN_FILE: &str = "ML_MODEL_FILE_NAME";
/// What the main file is called when no variable names it.
pub const DEFAULT_MAIN_FILE: &str = "deployment";

/// Names that the platform sets itself, with all that begin with [`PLATFORM_PREFIX`].
const PLATFORM_NAMES: [&str; 3] = ["UBIOPS_PROJECT", "UBIOPS_DEPLOYMENT", "UBIOPS_VERSION"];
const PLATFORM_PREFIX: &str = "INT_";

/// The value of a variable, which may be a secret: never shown by mistake, and wiped from memory when it goes.
#[derive(Clone, PartialEq, Eq, utoipa::ToSchema)]
#[schema(value_type = String, max_length = 65536)]
pub struct VariableValue(Zeroizing<String>);

impl VariableValue {
    /// The value as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for VariableValue {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let text = Zeroizing::new(text);
        if text.len() > MAX_VALUE {
            return Err(format!("The value must have at most {MAX_VALUE} bytes, and has {}", text.len()));
        }
        if text.contains('\0') {
            return Err("The value must not contain a zero byte: no program can be given one".into());
        }
        Ok(Self(text))
    }
}

impl fmt::Debug for VariableValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VariableValue(***)")
    }
}

/// Refuses what is no string without repeating it, as the usual refusal does: it may be a secret.
impl<'de> Deserialize<'de> for VariableValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = VariableValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<VariableValue, E> {
                VariableValue::try_from(text.to_owned()).map_err(E::custom)
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<VariableValue, E> {
                VariableValue::try_from(text).map_err(E::custom)
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<VariableValue, E> {
                Err(not_a_string())
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<VariableValue, E> {
                Err(not_a_string())
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<VariableValue, E> {
                Err(not_a_string())
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<VariableValue, E> {
                Err(not_a_string())
            }
        }

        from.deserialize_any(Text)
    }
}

fn not_a_string<E: de::Error>() -> E {
    E::custom("The value must be a string")
}

/// The document shows the defaults of bodies; a value is not shown there either.
impl Serialize for VariableValue {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str("***")
    }
}

/// A flag that is refused without repeating what came instead: somebody may have mixed up two fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(value_type = bool)]
pub struct SecretFlag(pub bool);

impl<'de> Deserialize<'de> for SecretFlag {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Flag;

        impl Visitor<'_> for Flag {
            type Value = SecretFlag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a boolean")
            }

            fn visit_bool<E: de::Error>(self, flag: bool) -> Result<SecretFlag, E> {
                Ok(SecretFlag(flag))
            }

            fn visit_str<E: de::Error>(self, _: &str) -> Result<SecretFlag, E> {
                Err(not_a_flag())
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<SecretFlag, E> {
                Err(not_a_flag())
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<SecretFlag, E> {
                Err(not_a_flag())
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretFlag, E> {
                Err(not_a_flag())
            }
        }

        from.deserialize_any(Flag)
    }
}

fn not_a_flag<E: de::Error>() -> E {
    E::custom("The field must be true or false")
}

/// The body of the operations that create an environment variable or secret.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentVariableCreate {
    /// Its name, unique among those of the same object.
    pub name: VariableName,
    /// Its value.
    pub value: VariableValue,
    /// Whether its value is never shown again.
    pub secret: SecretFlag,
}

impl EnvironmentVariableCreate {
    /// The rules between fields.
    pub fn check(&self) -> Result<(), String> {
        check_name(&self.name)?;
        check_value(self.name.as_str(), self.value.as_str())
    }
}

/// The body of the operations that change an environment variable or secret. What is absent or null stays.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnvironmentVariableUpdate {
    /// A new name.
    pub name: Patch<VariableName>,
    /// A new value.
    pub value: Patch<VariableValue>,
    /// Whether its value is never shown again; cannot be taken back.
    pub secret: Patch<SecretFlag>,
}

impl EnvironmentVariableUpdate {
    /// The rules between fields.
    pub fn check(&self) -> Result<(), String> {
        self.name.value().map_or(Ok(()), check_name)
    }
}

/// Whether the platform sets a variable itself.
pub fn is_of_platform(name: &str) -> bool {
    name.starts_with(PLATFORM_PREFIX) || PLATFORM_NAMES.contains(&name)
}

/// Refuses names that the platform sets itself.
fn check_name(name: &VariableName) -> Result<(), String> {
    let name = name.as_str();
    if is_of_platform(name) {
        return Err(format!(
            "The name '{name}' belongs to the platform, which sets it itself; choose a name that does not begin with \
             {PLATFORM_PREFIX} and is none of {}",
            PLATFORM_NAMES.join(", ")
        ));
    }
    Ok(())
}

/// Refuses values that the platform could not honour.
pub fn check_value(name: &str, value: &str) -> Result<(), String> {
    if name != MAIN_FILE && name != OLD_MAIN_FILE {
        return Ok(());
    }
    let steps = |part: &str| part.is_empty() || part == "." || part == "..";
    let fits = value.len() <= 255 && !value.contains(['\\', '\n']) && !value.split('/').any(steps);
    match fits {
        true => Ok(()),
        false => {
            Err(format!("The value of {name} must be the name of a file in the package, with or without extension"))
        }
    }
}

/// The body of the operations that copy environment variables of a deployment or version.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentVariableCopy {
    /// The deployment to copy from.
    pub source_deployment: String,
    /// Its version to copy from; without one the deployment's own variables are copied.
    pub source_version: Option<String>,
}

/// The body of `environment_secrets_copy`.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentSecretCopy {
    /// The environment to copy from.
    pub source_environment: String,
}

/// An environment variable or secret.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct EnvironmentVariableList {
    /// Its id.
    pub id: VariableId,
    /// Its name.
    pub name: String,
    /// Its value; null when it is a secret.
    pub value: Option<String>,
    /// Whether its value is never shown.
    pub secret: bool,
}

/// An environment variable in the list of an object that also has those of what it belongs to.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct InheritedEnvironmentVariableList {
    /// Its id.
    pub id: VariableId,
    /// Its name.
    pub name: String,
    /// Its value; null when it is a secret.
    pub value: Option<String>,
    /// Whether its value is never shown.
    pub secret: bool,
    /// What it is inherited from: `project` or `deployment`; null when it is the object's own.
    pub inheritance_type: Option<&'static str>,
    /// The name of what it is inherited from; null when it is the object's own.
    pub inheritance_name: Option<String>,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn told(body: serde_json::Value) -> String {
        match serde_json::from_value::<EnvironmentVariableCreate>(body) {
            Ok(body) => body.check().unwrap_err(),
            Err(error) => error.to_string(),
        }
    }

    fn of(name: &str, value: impl Into<serde_json::Value>) -> serde_json::Value {
        serde_json::json!({ "name": name, "value": value.into(), "secret": false })
    }

    #[test]
    fn names_of_the_platform_are_refused() {
        for name in ["INT_API_TOKEN", "INT_x", "UBIOPS_PROJECT", "UBIOPS_DEPLOYMENT", "UBIOPS_VERSION"] {
            assert!(told(of(name, "x")).contains("belongs to the platform"), "{name}");
        }
        for name in ["INTERVAL", "UBIOPS_API_TOKEN", "int_x", "PATH", "SYS_DEPLOYMENT_FILE_NAME"] {
            let body: EnvironmentVariableCreate = serde_json::from_value(of(name, "x")).unwrap();
            assert_eq!(body.check(), Ok(()), "{name}");
        }
    }

    #[test]
    fn values_are_bounded_and_never_repeated() {
        assert!(told(of("A", "x".repeat(MAX_VALUE + 1))).contains("at most 65536 bytes"));
        assert!(told(of("A", "a\0b")).contains("zero byte"));
        for wrong in [serde_json::json!(4711), (-4711).into(), 4711.5.into(), true.into()] {
            assert_eq!(told(of("A", wrong)), "The value must be a string");
        }
        let mixed_up = serde_json::json!({ "name": "A", "value": "x", "secret": "hunter2" });
        assert_eq!(told(mixed_up), "The field must be true or false");
        let value = VariableValue::try_from("hunter2".to_owned()).unwrap();
        assert_eq!(format!("{value:?}"), "VariableValue(***)");
    }

    #[test]
    fn the_main_file_is_a_file_of_the_package() {
        for good in ["model", "model.py", "src/model"] {
            assert_eq!(check_value(MAIN_FILE, good), Ok(()), "{good}");
        }
        for bad in ["", "/etc/passwd", "../x", "a/../b", "a//b", "a\\b", &"x".repeat(256)] {
            assert!(check_value(OLD_MAIN_FILE, bad).is_err(), "{bad}");
        }
        assert_eq!(check_value("OTHER", "../x"), Ok(()));
    }
}
