//! Letting the host forward, where it does not, and putting that back.
//!
//! Who did it stands beside the switch itself: a table of rules that exists as long as it was us. Like the switch it is the
//! host's, is shared by all installations on it, survives a crash of ours, and is gone after a boot.

use std::fs;

use super::nft::Nft;
use super::rules;

const SWITCH: &str = "/proc/sys/net/ipv4/ip_forward";

/// Makes the host forward for instances, and for nobody else if it did not forward before.
pub(super) fn turn_on(nft: &Nft) -> Result<(), String> {
    let state = fs::read_to_string(SWITCH).map_err(|e| format!("{SWITCH} cannot be read: {e}"))?;
    if state.trim() != "0" {
        return Ok(());
    }
    // The rule first: the host forwards for others at no moment.
    nft.apply(&rules::forwarding())?;
    if let Err(e) = fs::write(SWITCH, "1") {
        let _ = nft.apply(&rules::without("ip", rules::FORWARDING));
        return Err(format!("net.ipv4.ip_forward is 0 and cannot be set: {e}"));
    }
    tracing::info!("net.ipv4.ip_forward is on, for instances only");
    Ok(())
}

/// Puts it back when it was us and no installation needs it any more.
pub(super) fn turn_off(nft: &Nft) {
    let tables = nft.tables();
    let ours = tables.iter().any(|table| table == rules::FORWARDING);
    if !ours || tables.len() > 1 {
        return;
    }
    if let Err(e) = fs::write(SWITCH, "0") {
        tracing::warn!("net.ipv4.ip_forward cannot be put back: {e}");
        return;
    }
    if let Err(e) = nft.apply(&rules::without("ip", rules::FORWARDING)) {
        tracing::warn!("the table {} stays: {e}", rules::FORWARDING);
    }
}
