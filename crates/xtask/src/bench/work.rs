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
    /// Gives a text of 1 MiB back.
    Text,
    /// Gives a list of numbers back that is 1 MiB of JSON.
    Numbers,
    /// Tells as many updates as it is asked for.
    Teller,
    /// Holds its process for ever.
    Sleeper,
}

/// Updates of one stream.
pub const UPDATES: usize = 20_000;
/// What a large body has of JSON, in bytes.
const LARGE: usize = 1 << 20;

impl Work {
    /// The name in tables, of the package and of the deployment.
    pub fn name(self) -> &'static str {
        match self {
            Work::Echo => "echo",
            Work::Iris => "iris",
            Work::Wine => "wine",
            Work::Text => "text",
            Work::Numbers => "numbers",
            Work::Teller => "teller",
            Work::Sleeper => "sleeper",
        }
    }

    /// The text of the package's `deployment.py`.
    pub fn code(self) -> &'static str {
        match self {
            Work::Echo => include_str!("packages/echo/deployment.py"),
            Work::Iris => include_str!("packages/iris/deployment.py"),
            Work::Wine => include_str!("packages/wine/deployment.py"),
            Work::Text | Work::Numbers => include_str!("packages/large/deployment.py"),
            Work::Teller => include_str!("packages/teller/deployment.py"),
            Work::Sleeper => include_str!("packages/sleeper/deployment.py"),
        }
    }

    /// What the package needs installed, as a `requirements.txt`.
    pub fn requirements(self) -> Option<&'static str> {
        match self {
            Work::Iris => Some(include_str!("packages/iris/requirements.txt")),
            Work::Wine => Some(include_str!("packages/wine/requirements.txt")),
            _ => None,
        }
    }

    /// The program that trains the package's model, which stands in `NAME.joblib`.
    pub fn training(self) -> Option<&'static str> {
        match self {
            Work::Iris => Some(include_str!("packages/iris/train.py")),
            Work::Wine => Some(include_str!("packages/wine/train.py")),
            _ => None,
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
            Work::Text => json!({ "data": "QUJD".repeat(LARGE / 4) }),
            Work::Numbers => json!({ "data": numbers() }),
            Work::Teller => json!({ "count": UPDATES }),
            Work::Sleeper => json!({ "x": 0.0 }),
        }
    }

    /// What the user code answers to [`Work::input`].
    pub fn output(self) -> Value {
        match self {
            Work::Echo => json!({ "y": 42.0 }),
            Work::Iris | Work::Wine => json!({ "label": 0 }),
            Work::Text | Work::Numbers | Work::Teller => self.input(),
            Work::Sleeper => Value::Null,
        }
    }

    /// A part of the floor's answer that shows it is the right one.
    pub fn floor_proof(self) -> &'static str {
        match self {
            Work::Echo => r#""y":42.0"#,
            Work::Iris | Work::Wine => r#""label":0"#,
            Work::Text => "QUJDQUJD",
            Work::Numbers => "0.6180339887498949",
            Work::Teller => r#""count""#,
            Work::Sleeper => "never",
        }
    }

    /// The deployment's input fields in the contract's words.
    pub fn input_fields(self) -> Value {
        match self {
            Work::Echo | Work::Sleeper => json!([{ "name": "x", "data_type": "double" }]),
            Work::Iris | Work::Wine => json!([{ "name": "row", "data_type": "array_double" }]),
            _ => self.output_fields(),
        }
    }

    /// The deployment's output fields in the contract's words.
    pub fn output_fields(self) -> Value {
        match self {
            Work::Echo | Work::Sleeper => json!([{ "name": "y", "data_type": "double" }]),
            Work::Iris | Work::Wine => json!([{ "name": "label", "data_type": "int" }]),
            Work::Text => json!([{ "name": "data", "data_type": "string" }]),
            Work::Numbers => json!([{ "name": "data", "data_type": "array_double" }]),
            Work::Teller => json!([{ "name": "count", "data_type": "int" }]),
        }
    }
}

/// Numbers as measurements are: with all the digits that a double has.
fn numbers() -> Vec<f64> {
    let (mut numbers, mut length) = (Vec::new(), 0);
    while length < LARGE {
        let number = ((numbers.len() + 1) as f64 * 0.618_033_988_749_894_9).fract();
        length += number.to_string().len() + 1;
        numbers.push(number);
    }
    numbers
}
