//! Names: a rule each, kept by construction. Bad ones do not get in.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $what:literal, $max:literal, $rule:literal, $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String, max_length = $max, min_length = 1)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                if text.is_empty() {
                    return Err(concat!($what, " must not be empty").into());
                }
                if text.chars().count() > $max {
                    return Err(format!(concat!($what, " must have at most {} characters"), $max));
                }
                let check: fn(&str) -> bool = $check;
                if !check(&text) {
                    return Err(format!(concat!($what, " '{}' is not valid: ", $rule), text));
                }
                Ok(Self(text))
            }
        }

        impl TryFrom<&str> for $name {
            type Error = String;

            fn try_from(text: &str) -> Result<Self, String> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    )*};
}

fn starts_lower(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
}

names! {
    /// Names of organizations, projects, deployments and the like.
    ResourceName: "The name", 64,
        "use lower-case letters, digits and dashes, beginning with a letter",
        |text| starts_lower(text) && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
    /// Names of deployment versions.
    VersionName: "The version", 64,
        "use lower-case letters, digits, dashes, underscores and dots, beginning with a letter",
        |text| starts_lower(text) && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_' | b'.'));
    /// Names of environment variables.
    VariableName: "The name", 64,
        "use letters, digits and underscores, beginning with a letter and not ending with an underscore",
        |text| text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
            && !text.ends_with('_');
    /// Names of input and output fields.
    FieldName: "The field name", 64,
        "use letters, digits, dashes and underscores, beginning with a letter or digit",
        |text| text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'));
    /// Names of environments.
    EnvironmentName: "The name", 1024,
        "use lower-case letters, digits, dashes and underscores, beginning with a letter",
        |text| starts_lower(text) && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_'));
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn resource_names_keep_their_rule() {
        for good in ["a", "iris-2", "x-", &"a".repeat(64)] {
            assert!(ResourceName::try_from(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "2a", "-a", "a_b", "a.b", "ä", "a b", "иrис", &"a".repeat(65)] {
            assert!(ResourceName::try_from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn version_names_take_dots_and_underscores() {
        for good in ["v1", "v1.0.0", "v1_2", "a-2024-01-01"] {
            assert!(VersionName::try_from(good).is_ok(), "{good}");
        }
        for bad in ["", ".v1", "v1/2", "V1", "v1 ", "1.0"] {
            assert!(VersionName::try_from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn environment_names_may_be_long() {
        for good in ["a", "my_env-3", &"a".repeat(1024)] {
            assert!(EnvironmentName::try_from(good).is_ok(), "{good}");
        }
        for bad in ["", "My", "3a", "a.b", "a/b", &"a".repeat(1025)] {
            assert!(EnvironmentName::try_from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn variable_names_keep_their_rule() {
        for good in ["A", "a", "VERSION_ENV_VAR_1", "http_proxy", "a__b", &"a".repeat(64)] {
            assert!(VariableName::try_from(good).is_ok(), "{good}");
        }
        for bad in ["", "_A", "A_", "1A", "A-B", "A B", "A=B", "A\0", "Ä", "A.B", &"a".repeat(65)] {
            assert!(VariableName::try_from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        insta::assert_snapshot!(
            ResourceName::try_from("My Model").unwrap_err(),
            @"The name 'My Model' is not valid: use lower-case letters, digits and dashes, beginning with a letter"
        );
    }
}
