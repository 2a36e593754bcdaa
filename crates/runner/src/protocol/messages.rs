//! The bodies of the frames.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The first frame of a worker: who it says it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The protocol it speaks.
    pub protocol: u32,
    /// The instance it was started for.
    pub instance: String,
    /// The epoch it was started for.
    pub epoch: u64,
    /// Its number in the instance.
    pub process: u32,
    /// The version of its Python, if it is one.
    #[serde(default)]
    pub python: Option<String>,
    /// The version of its R, if it is one.
    #[serde(default)]
    pub r: Option<String>,
}

/// A phase of a start that the worker measures itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerPhase {
    /// The interpreter came up.
    Interpreter,
    /// The user's code was imported.
    Import,
    /// The user's constructor ran.
    Init,
}

/// A phase of a start just finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseDone {
    /// Which.
    pub phase: WorkerPhase,
    /// How long it took.
    pub micros: u64,
}

/// The worker takes calls from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyMessage {
    /// The class has a `request` method.
    pub has_request: bool,
    /// The class has a `requests` method.
    pub has_requests: bool,
}

/// How serious a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// Ordinary output.
    Info,
    /// An error.
    Error,
}

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorKind {
    /// The user's code raised.
    Exception,
    /// The output does not fit.
    Output,
    /// The input could not be handed to the user's code.
    Input,
    /// The call was cancelled.
    Cancelled,
    /// The worker itself failed.
    Internal,
}

/// A call failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallError {
    /// Why.
    pub kind: ErrorKind,
    /// A sentence.
    pub message: String,
    /// What the user's code wants its caller to read.
    #[serde(default)]
    pub public_error_message: Option<String>,
}

/// Why a worker cannot become ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FatalKind {
    /// The user's code could not be imported.
    Import,
    /// The user's constructor raised.
    Init,
    /// What the contract asks for is not there.
    Missing,
}

/// The worker cannot become ready and exits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fatal {
    /// Why.
    pub kind: FatalKind,
    /// A sentence.
    pub message: String,
    /// What the user's code wants its caller to read.
    #[serde(default)]
    pub public_error_message: Option<String>,
}

/// A field of a structured input or output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypedField {
    /// Its name.
    pub name: String,
    /// Its type, in the contract's words.
    pub data_type: String,
}

impl TypedField {
    /// Whether its values are files.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self.data_type.as_str(), "file" | "array_file")
    }
}

/// The server's first frame: what to load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The protocol spoken.
    pub protocol: u32,
    /// The package's folder, as the worker sees it.
    pub base_directory: String,
    /// The module that holds `Deployment`, without extension.
    pub main_file: String,
    /// The context of the constructor.
    pub context: serde_json::Map<String, serde_json::Value>,
    /// `structured` or `plain`.
    pub input_type: String,
    /// `structured` or `plain`.
    pub output_type: String,
    /// The fields of a structured output.
    pub output_fields: Vec<TypedField>,
    /// The fields of a structured input whose values are files, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input_files: Vec<TypedField>,
}

/// A frame from a worker. Numbers of calls are never zero, except where a log line belongs to none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromWorker {
    /// Who it is.
    Hello(Hello),
    /// A phase is done.
    Phase(PhaseDone),
    /// It takes calls.
    Ready(ReadyMessage),
    /// It began with a call.
    Started(u64),
    /// Output, one line or several; of a call, or of none.
    Log {
        /// The call, zero for none.
        call: u64,
        /// How serious.
        level: Level,
        /// The lines.
        text: String,
    },
    /// A part of a call's answer.
    Update(u64, Bytes),
    /// A file of a call's answer: the call, and which of its files. A descriptor comes with it.
    OutputFile(u64, u32),
    /// The JSON answer of a call.
    Result(u64, Bytes),
    /// The answer of a call, packed.
    Packed(u64, Bytes),
    /// A call failed.
    Error(u64, CallError),
    /// It cannot become ready.
    Fatal(Fatal),
    /// It stopped as told.
    Stopped,
}
