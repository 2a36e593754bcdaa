//! What an instance may use: everything follows from its type.

use modelyard_runner::runner::InstanceLimits;
use modelyard_types::instance_types::InstanceType;

/// The limits of an instance of a type.
///
/// Processors are shared by type, four gigabytes a whole one, and an instance may use what others leave; `hard` holds it to its
/// share. A process that is denied processors it could have is slow to start, and nobody gains.
pub(super) fn of(kind: InstanceType, hard: bool) -> InstanceLimits {
    let memory_mb = kind.memory_mb.unsigned_abs();
    let scratch_bytes = kind.storage_mb().unsigned_abs() << 20;
    let cpu = memory_mb * 1000 / 4096;
    InstanceLimits {
        memory_bytes: kind.memory_bytes(),
        processes: memory_mb.clamp(512, 8192),
        cpu: hard.then_some(cpu),
        cpu_share: Some(cpu),
        scratch_bytes,
        file_bytes: scratch_bytes,
        open_files: (memory_mb * 8).clamp(4096, 65_536),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_grow_with_the_type() {
        let limits = |memory_mb, hard| of(InstanceType { memory_mb }, hard);
        let (small, large) = (limits(256, false), limits(16_384, true));
        assert_eq!((small.memory_bytes, small.scratch_bytes), (256 << 20, 1 << 30));
        assert_eq!((small.cpu, small.cpu_share), (None, Some(62)));
        assert_eq!((small.processes, small.open_files), (512, 4096));
        assert_eq!((large.memory_bytes, large.scratch_bytes), (16 << 30, 64 << 30));
        assert_eq!((large.cpu, large.cpu_share), (Some(4000), Some(4000)));
        assert_eq!((large.processes, large.open_files), (8192, 65_536));
    }
}
