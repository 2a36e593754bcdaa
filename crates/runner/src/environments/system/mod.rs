//! System packages of an environment: what `apt` of a `ubiops.yaml` asks for.
//!
//! They are installed by the host's own `apt-get` into folders that lie over the host's: a *layer*. Its key is the hash of
//! the packages that were chosen (with their checksums) and of whose build it is. The host's own files never change.
//!
//! 1. **Fetch**, with the network: keys, sources, lists of packages, packages. No script of a package runs.
//! 2. **Install**, without any network: dpkg, and the scripts that packages bring. They run as root with few of its rights
//!    (see [`crate::init::install`]), and see the host's programs, and of its configuration what every user may read.
//! 3. **Keep** what differs from the host.

mod apt;
mod host;
mod kept;
mod shelf;
mod told;
mod wanted;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use host::SystemPackages;
pub(crate) use host::mounted_below;
use wanted::text_of;

use self::shelf::SystemRecord;
pub(super) use self::shelf::system_link;
use super::build::hold;
use super::shelf::Shelf;
use super::steps::Steps;
use super::{BuildError, Log, digest};
use crate::ubiops_yaml::Apt;

/// Part of each key: changes when this builder would make something else from the same packages.
const BUILDER: &str = "modelyard system packages 1";

/// A complete layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layer {
    /// Its key.
    pub key: String,
    /// Its folder, with `usr`, `etc` and so on as far as there is anything in them.
    pub path: PathBuf,
    /// Bytes of all its files.
    pub size: u64,
}

/// The folder of the layer that lies under a built environment, if it has one.
pub fn system_of(environment: &Path) -> io::Result<Option<PathBuf>> {
    match std::fs::read_link(system_link(environment)) {
        Ok(layer) => Ok(Some(layer)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// What asks for system packages.
pub(super) struct Asking<'a> {
    pub shelf: &'a Arc<Shelf>,
    pub steps: &'a Steps<'a>,
    pub settings: &'a SystemPackages,
    /// What is asked for: by the environment below, then by the own file.
    pub wanted: &'a [Apt],
    /// Whose build it is.
    pub scope: &'a str,
    /// Look for newer versions.
    pub refresh: bool,
    pub log: Log<'a>,
}

impl Asking<'_> {
    /// The layer with the system packages: the one that is there, or a new one; none when none are asked for.
    pub async fn layer(&self) -> Result<Option<Layer>, BuildError> {
        if self.wanted.is_empty() {
            return Ok(None);
        }
        self.settings.check(self.wanted).map_err(BuildError::Failed)?;
        let name = self.name()?;
        let _lock = hold(self.shelf, self.steps, &name).await?;
        if let Some(layer) = self.known()?.filter(|_| !self.refresh) {
            (self.log)("These system packages were chosen before; using the same versions");
            self.shelf.touch_system(&layer.key)?;
            return Ok(Some(layer));
        }
        let work = self.shelf.blocking(&name, Shelf::new_system_work).await?;
        let made = apt::Making { asking: self, work: &work }.make().await;
        self.shelf.blocking(&name, Shelf::remove_system_work).await?;
        let layer = made?;
        self.shelf.keep_resolved(&name, &layer.key)?;
        Ok(Some(layer))
    }

    /// The layer that the same wishes came to before.
    pub fn known(&self) -> io::Result<Option<Layer>> {
        let Some(key) = self.shelf.resolved(&self.name()?) else { return Ok(None) };
        let record = self.shelf.system_record(&key);
        Ok(record.map(|record| self.kept(key, &record)))
    }

    fn kept(&self, key: String, record: &SystemRecord) -> Layer {
        Layer { path: self.shelf.system(&key), key, size: record.size }
    }

    /// The name of what is asked for.
    fn name(&self) -> io::Result<String> {
        Ok(digest(&[BUILDER, self.scope, &host::distribution()?, &text_of(self.wanted)]))
    }
}
