//! Which system calls user code may not make, by seccomp.
//!
//! Everything is allowed but what reaches into other processes, changes the host, makes namespaces, or is a part of the
//! kernel that models do not need and that is known for its holes. A call that programs try and do without is answered as
//! if the kernel did not have it.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::SeccompCmpArgLen::Dword;
use seccompiler::SeccompCmpOp::{Eq, MaskedEq, Ne};
use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule, TargetArch};

/// What `libc` does not name: console commands, and an old kind of raw socket.
const TIOCLINUX: u64 = 0x541c;
const SOCK_PACKET: i32 = 10;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Refused as not permitted.
const REFUSED: [c_long; 46] = [
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    // Mounts and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_fanotify_init,
    // The kernel and the machine.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_nfsservctl,
    libc::SYS_lookup_dcookie,
    // Large, privileged by nature, and often the way in.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
];

/// Refused as if they did not exist: programs have another way. The flags of `clone3` lie in memory, where no filter sees
/// them.
const UNKNOWN: [c_long; 4] =
    [libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// The programs a worker takes, in this order.
#[derive(Debug, Clone)]
pub(crate) struct Filters([BpfProgram; 2]);

impl Filters {
    /// Builds them; fails on processors that seccomp filters are not written for.
    pub(crate) fn build() -> Result<Self, String> {
        Self::with(&[libc::NETLINK_ROUTE])
    }

    /// The same for those who install system packages: programs that add users ask for the kernel's audit.
    pub(crate) fn of_installers() -> Result<Self, String> {
        Self::with(&[libc::NETLINK_ROUTE, libc::NETLINK_AUDIT])
    }

    fn with(tables: &[i32]) -> Result<Self, String> {
        let said = |e: BackendError| format!("the filter of system calls cannot be built: {e}");
        let mut refused: Rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
        more_of_this_processor(&mut refused);
        some_arguments(&mut refused, tables).map_err(said)?;
        let unknown = UNKNOWN.iter().map(|call| (*call, Vec::new())).collect();
        let not_permitted = program(refused, libc::EPERM).map_err(said)?;
        Ok(Self([not_permitted, program(unknown, libc::ENOSYS).map_err(said)?]))
    }

    /// Takes them for this process and all it makes. Makes system calls only, unless it fails.
    pub(crate) fn take(&self) -> Result<(), seccompiler::Error> {
        self.0.iter().try_for_each(|program| seccompiler::apply_filter(program))
    }
}

fn program(mut rules: Rules, errno: i32) -> Result<BpfProgram, BackendError> {
    second_numbers(&mut rules);
    let answer = SeccompAction::Errno(errno.unsigned_abs());
    let target = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, SeccompAction::Allow, answer, target)?.try_into()
}

/// On this processor every call has a second number, for programs with short pointers.
#[cfg(target_arch = "x86_64")]
fn second_numbers(rules: &mut Rules) {
    const X32: i64 = 0x4000_0000;
    let second: Vec<_> = rules.iter().map(|(call, rules)| (call | X32, rules.clone())).collect();
    rules.extend(second);
}

#[cfg(not(target_arch = "x86_64"))]
fn second_numbers(_: &mut Rules) {}

#[cfg(target_arch = "x86_64")]
fn more_of_this_processor(rules: &mut Rules) {
    let more = [libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt, libc::SYS_uselib, libc::SYS_kexec_file_load];
    rules.extend(more.map(|call| (call, Vec::new())));
}

#[cfg(not(target_arch = "x86_64"))]
fn more_of_this_processor(rules: &mut Rules) {
    rules.insert(libc::SYS_kexec_file_load, Vec::new());
}

/// Calls that are refused with some arguments.
fn some_arguments(rules: &mut Rules, tables: &[i32]) -> Result<(), BackendError> {
    let namespaces = [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        0x80, // CLONE_NEWTIME, for `unshare`; to `clone` it is a part of a signal's number.
    ];
    for call in [libc::SYS_unshare, libc::SYS_clone] {
        let flags = namespaces.iter().filter(|flag| call == libc::SYS_unshare || **flag != 0x80);
        let flag = |flag: &i32| SeccompRule::new(vec![argument(0, MaskedEq(bits(*flag)), *flag)?]);
        rules.insert(call, flags.map(flag).collect::<Result<_, _>>()?);
    }
    // A terminal of somebody else is written to.
    let terminal = |request: u64| SeccompRule::new(vec![SeccompCondition::new(1, Dword, Eq, request)?]);
    rules.insert(libc::SYS_ioctl, vec![terminal(libc::TIOCSTI)?, terminal(TIOCLINUX)?]);
    rules.insert(libc::SYS_socket, sockets(tables)?);
    Ok(())
}

/// Sockets of other families than these three and these tables of the kernel; raw ones.
fn sockets(tables: &[i32]) -> Result<Vec<SeccompRule>, BackendError> {
    let (local, four, six, kernel) = (libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK);
    let families = [local, four, six, kernel].map(|family| argument(0, Ne, family));
    let raw = |kind: i32| -> Result<_, BackendError> {
        SeccompRule::new(vec![argument(0, Ne, kernel)?, argument(1, MaskedEq(0xf), kind)?])
    };
    let others = tables.iter().map(|table| argument(2, Ne, *table));
    let others: Vec<_> = [argument(0, Eq, kernel)].into_iter().chain(others).collect::<Result<_, _>>()?;
    Ok(vec![
        SeccompRule::new(families.into_iter().collect::<Result<_, _>>()?)?,
        raw(libc::SOCK_RAW)?,
        raw(SOCK_PACKET)?,
        SeccompRule::new(others)?,
    ])
}

fn argument(index: u8, how: seccompiler::SeccompCmpOp, value: i32) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(index, Dword, how, bits(value))
}

fn bits(flag: i32) -> u64 {
    u64::from(flag.cast_unsigned())
}
