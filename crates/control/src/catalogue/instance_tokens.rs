//! The tokens that instances of this server call the API with. They live in memory alone and as long as their instance, which
//! ends with this server: nothing is stored that could be used later.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use modelyard_types::{TokenId, UserId};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::DeploymentSnapshot;
use crate::access::Actor;

type Hash = [u8; 32];

/// The tokens that are good.
#[derive(Default)]
pub(crate) struct InstanceTokens(RwLock<HashMap<Hash, Arc<Actor>>>);

/// A token that was made.
pub(crate) struct InstanceToken {
    /// The token itself: for its instance, and nobody else.
    pub(crate) text: Zeroizing<String>,
    /// By what it is known here.
    pub(crate) hash: Hash,
}

impl InstanceTokens {
    /// Makes a token that acts as the deployment: it may do what roles of the deployment allow, and there are none yet.
    pub(crate) fn issue(&self, deployment: &DeploymentSnapshot) -> InstanceToken {
        let text = Zeroizing::new(hex::encode(rand::random::<[u8; 20]>()));
        let hash = Sha256::digest(text.as_bytes()).into();
        let actor = Actor {
            user: UserId(deployment.id.0),
            email: format!("deployment {}", deployment.name),
            is_admin: false,
            token: TokenId::new(),
        };
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(hash, Arc::new(actor));
        InstanceToken { text, hash }
    }

    /// Who shows the token of this hash.
    pub(super) fn find(&self, hash: &Hash) -> Option<Arc<Actor>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(hash).cloned()
    }

    /// Its instance is no more.
    pub(crate) fn revoke(&self, hash: &Hash) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(hash);
    }
}
