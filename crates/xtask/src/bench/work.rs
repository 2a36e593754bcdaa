//! The user code that both sides run: the same package, the same input.

use serde_json::{Value, json};

/// A package of user code and an input for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// Doubles a number; imports nothing.
    Echo,
    /// Predicts one row with a scikit-learn model.
    Iris,
    /// Predicts one row, or many at once, with a scaler and a model of scikit-learn.
    Wine,
}

impl Work {
    /// The name in tables, of the package and of the deployment.
    pub fn name(self) -> &'static str {
        match self {
            Work::Echo => "echo",
            Work::Iris => "iris",
            Work::Wine => "wine",
        }
    }

    /// The text of the package's `deployment.py`.
    pub fn code(self) -> &'static str {
        match self {
            Work::Echo => include_str!("packages/echo/deployment.py"),
            Work::Iris => include_str!("packages/iris/deployment.py"),
            Work::Wine => include_str!("packages/wine/deployment.py"),
        }
    }

    /// What the package needs installed, as a `requirements.txt`.
    pub fn requirements(self) -> Option<&'static str> {
        match self {
            Work::Echo => None,
            Work::Iris => Some(include_str!("packages/iris/requirements.txt")),
            Work::Wine => Some(include_str!("packages/wine/requirements.txt")),
        }
    }

    /// The program that trains the package's model, which stands in `NAME.joblib`.
    pub fn training(self) -> Option<&'static str> {
        match self {
            Work::Echo => None,
            Work::Iris => Some(include_str!("packages/iris/train.py")),
            Work::Wine => Some(include_str!("packages/wine/train.py")),
        }
    }

    /// The input of every request.
    pub fn input(self) -> Value {
        match self {
            Work::Echo => json!({ "x": 21.0 }),
            Work::Iris => json!({ "row": [5.1, 3.5, 1.4, 0.2] }),
            Work::Wine => {
                json!({ "row": [14.23, 1.71, 2.43, 15.6, 127.0, 2.8, 3.06, 0.28, 2.29, 5.64, 1.04, 3.92, 1065.0] })
            }
        }
    }

    /// What the user code answers to [`Work::input`].
    pub fn output(self) -> Value {
        match self {
            Work::Echo => json!({ "y": 42.0 }),
            Work::Iris | Work::Wine => json!({ "label": 0 }),
        }
    }

    /// A part of the floor's answer that shows it is the right one.
    pub fn floor_proof(self) -> &'static str {
        match self {
            Work::Echo => r#""y":42.0"#,
            Work::Iris | Work::Wine => r#""label":0"#,
        }
    }

    /// The deployment's input fields in the contract's words.
    pub fn input_fields(self) -> Value {
        match self {
            Work::Echo => json!([{ "name": "x", "data_type": "double" }]),
            Work::Iris | Work::Wine => json!([{ "name": "row", "data_type": "array_double" }]),
        }
    }

    /// The deployment's output fields in the contract's words.
    pub fn output_fields(self) -> Value {
        match self {
            Work::Echo => json!([{ "name": "y", "data_type": "double" }]),
            Work::Iris | Work::Wine => json!([{ "name": "label", "data_type": "int" }]),
        }
    }
}
