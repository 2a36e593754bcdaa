//! Audit events: who changed what.

use serde::{Deserialize, Serialize};

use crate::ids::AuditEventId;
use crate::time::RequestTime;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuditAction {
    /// Something was made.
    Create,
    /// Something was changed.
    Update,
    /// Something was removed.
    Delete,
    /// Something happened that changed nothing.
    Info,
}

impl AuditAction {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            AuditAction::Create => "create",
            AuditAction::Update => "update",
            AuditAction::Delete => "delete",
            AuditAction::Info => "info",
        }
    }

    /// Reads the contract's word.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "create" => AuditAction::Create,
            "update" => AuditAction::Update,
            "delete" => AuditAction::Delete,
            "info" => AuditAction::Info,
            _ => return None,
        })
    }
}

/// An audit event.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct AuditList {
    /// The event's id.
    pub id: AuditEventId,
    /// When it happened.
    pub date: RequestTime,
    /// What was done.
    pub action: AuditAction,
    /// The e-mail address of who did it.
    pub user: String,
    /// What was done, in a sentence.
    pub event: String,
    /// The kind of object.
    pub object_type: String,
    /// The object's name; empty once it is deleted.
    pub object_name: String,
}
