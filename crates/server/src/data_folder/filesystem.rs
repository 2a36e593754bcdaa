//! Which file systems SQLite is safe on: its locks and its shared memory need a local one.

use std::path::Path;

use nix::sys::statfs::statfs;

use crate::{Result, StartError};

/// Network and cluster file systems, by the number that the kernel gives them.
const NETWORK: [(i64, &str); 15] = [
    (0x0000_6969, "NFS"),
    (0x0000_517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB2"),
    (0x0102_1997, "9P"),
    (0x5346_414F, "AFS"),
    (0x6B41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0000_564C, "NCP"),
    (0x00C3_6400, "Ceph"),
    (0x0BD0_0BD0, "Lustre"),
    (0x0116_1970, "GFS2"),
    (0x7461_636F, "OCFS2"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
];

/// Refuses a folder on a network file system.
pub(super) fn require_local(folder: &Path) -> Result<()> {
    let place = folder.display();
    let about = statfs(folder).map_err(|e| StartError(format!("The data folder {place} cannot be examined: {e}.")))?;
    #[allow(clippy::unnecessary_cast, reason = "the type is another one on other platforms")]
    let number = about.filesystem_type().0 as i64;
    match network_name(number) {
        Some(name) => Err(StartError(format!(
            "The data folder {place} is on a network file system ({name}), on which SQLite would lose data. Name a \
             folder on a local disk with --data, or a PostgreSQL database with --database-url."
        ))),
        None => Ok(()),
    }
}

/// The name of a network file system.
pub(super) fn network_name(number: i64) -> Option<&'static str> {
    // Some platforms hand the number over as 32 bits with a sign.
    let number = number & 0xFFFF_FFFF;
    NETWORK.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}
