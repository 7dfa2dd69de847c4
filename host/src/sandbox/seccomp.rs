//! System calls that a process may still make, as rows of data: from rows to a program for the kernel, to a filter in
//! force.
//!
//! A filter looks at numbers only: the call's, and the low 32 bits of its arguments, never at memory that an argument
//! points to. The first instructions refuse what has another meaning for numbers: x32, and then any other architecture
//! than the one that this was built for, both by death, whatever the rows say.
//!
//! What must never enter here: which calls. Each list stands beside the process that it is for, a reason a row.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    sock_filter,
};

/// A system call, in some cases only.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its number on this architecture, `libc::SYS_*`.
    pub number: i64,
    /// Its name, for people.
    pub name: &'static str,
    /// What must all hold of its arguments; nothing: whatever they are. Rows of the same call are alternatives, all with
    /// a condition or one alone.
    pub when: &'static [When],
    /// Why it is in the list.
    pub why: &'static str,
}

/// What may be asked of an argument, counted from 0. Of its low 32 bits: the kernel itself reads no more of what is an
/// `int`, a set of flags or a protection.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// The bits of `mask` are those of `value`.
    Bits {
        /// Which argument.
        argument: u8,
        /// The bits that are looked at.
        mask: u32,
        /// What they are.
        value: u32,
    },
    /// It is something else than this.
    IsNot {
        /// Which argument.
        argument: u8,
        /// What it is not.
        value: u32,
    },
}

/// What becomes of who makes a call that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The process ends by SIGSYS at once, with all its threads.
    Death,
    /// The call is not made and fails with this number of `errno`.
    Error(i32),
}

/// A program for the kernel.
#[derive(Clone, Debug)]
pub struct Filter(BpfProgram);

impl Filter {
    /// Lets through what is in a list, and refuses all else.
    ///
    /// # Errors
    /// A sentence, if the list is no list: see [`Row::when`].
    pub fn only(rows: &[Row], else_: Refusal) -> Result<Self, String> {
        Self::new(rows, SeccompAction::Allow, else_.into())
    }

    /// Refuses what is in a list, and lets through all else. What a newer kernel knows besides is let through: for
    /// programs that are not ours, beside layers that do not ask for names.
    ///
    /// # Errors
    /// See [`Filter::only`].
    pub fn all_but(rows: &[Row], refused: Refusal) -> Result<Self, String> {
        Self::new(rows, refused.into(), SeccompAction::Allow)
    }

    fn new(rows: &[Row], matching: SeccompAction, else_: SeccompAction) -> Result<Self, String> {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
        for row in rows {
            let before = rules.get(&row.number).map(Vec::len);
            if before == Some(0) || before.is_some() && row.when.is_empty() {
                return Err(format!("{}: stands twice, once without a condition", row.name));
            }
            let cases = rules.entry(row.number).or_default();
            if !row.when.is_empty() {
                let conditions = row.when.iter().map(When::condition).collect::<Result<_, _>>();
                let case = conditions.and_then(SeccompRule::new);
                cases.push(case.map_err(|error| format!("{}: {error}", row.name))?);
            }
        }
        let target = std::env::consts::ARCH.try_into().map_err(|error| format!("this processor: {error}"))?;
        let filter = SeccompFilter::new(rules, else_, matching, target).and_then(BpfProgram::try_from);
        let mut program = refuse_x32();
        program.append(&mut filter.map_err(|error| error.to_string())?);
        Ok(Self(program))
    }

    /// Puts the filter in force for this thread, its children and what it executes, for ever; sets `no_new_privs`,
    /// without which the kernel takes none. A filter may follow another: the harder answer counts.
    ///
    /// # Errors
    /// If the kernel has none, or an earlier filter refuses it.
    pub fn install(&self) -> std::io::Result<()> {
        seccompiler::apply_filter(&self.0).map_err(|error| match error {
            seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error) => error,
            other => std::io::Error::other(other.to_string()),
        })
    }
}

impl When {
    fn condition(&self) -> Result<SeccompCondition, seccompiler::BackendError> {
        let (argument, operator, value) = match *self {
            Self::Bits { argument, mask, value } => (argument, SeccompCmpOp::MaskedEq(mask.into()), value),
            Self::IsNot { argument, value } => (argument, SeccompCmpOp::Ne, value),
        };
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value.into())
    }
}

impl From<Refusal> for SeccompAction {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Death => Self::KillProcess,
            Refusal::Error(number) => Self::Errno(number.unsigned_abs()),
        }
    }
}

/// The kernel of x86-64 takes each call under a second number too, of the ABI x32, whose bit 30 is set. No such number
/// exists elsewhere, so that these instructions can stand before every program: they fall through to it.
fn refuse_x32() -> BpfProgram {
    const X32: u32 = 0x4000_0000;
    /// The codes of instructions have 16 bits.
    #[allow(clippy::cast_possible_truncation, reason = "each is a constant below 0x100")]
    const CODES: [u16; 3] = [
        (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16,
        (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16,
        (libc::BPF_RET | libc::BPF_K) as u16,
    ];
    let [load, jump_if_at_least, answer] = CODES;
    vec![
        // The number stands first in what a filter sees.
        sock_filter { code: load, jt: 0, jf: 0, k: 0 },
        sock_filter { code: jump_if_at_least, jt: 0, jf: 1, k: X32 },
        sock_filter { code: answer, jt: 0, jf: 0, k: libc::SECCOMP_RET_KILL_PROCESS },
    ]
}

#[cfg(test)]
#[allow(unsafe_code, reason = "the tests make calls as a process that has taken over would")]
mod tests {
    use super::*;
    use nix::sys::signal::Signal;
    use nix::sys::wait::{WaitStatus, waitpid};

    const fn row(number: i64, when: &'static [When]) -> Row {
        Row { number, name: "", when, why: "" }
    }

    /// How a child ends that puts a filter in force and then does something; the child's status is what that returns.
    fn ends(filter: &Filter, deed: fn() -> i32) -> WaitStatus {
        let child = crate::sys::fork::fork(|| match filter.install() {
            Ok(()) => deed(),
            Err(_) => 99,
        });
        waitpid(child.unwrap(), None).unwrap()
    }

    fn is_killed(status: WaitStatus) -> bool {
        matches!(status, WaitStatus::Signaled(_, Signal::SIGSYS, _))
    }

    fn answers(status: WaitStatus, number: i32) -> bool {
        matches!(status, WaitStatus::Exited(_, found) if found == number)
    }

    fn call(number: i64, argument: u64) -> i32 {
        // SAFETY: the calls of these tests take numbers only.
        let answer = unsafe { libc::syscall(number, argument, 0, 0, 0) };
        match answer {
            -1 => std::io::Error::last_os_error().raw_os_error().unwrap(),
            answer => i32::from(answer < 0),
        }
    }

    const END: Row = row(libc::SYS_exit_group, &[]);

    #[test]
    fn only_what_is_listed_is_let_through() {
        let with = Filter::only(&[END, row(libc::SYS_getppid, &[])], Refusal::Death).unwrap();
        let without = Filter::only(&[END], Refusal::Death).unwrap();
        let told = Filter::only(&[END], Refusal::Error(libc::EPERM)).unwrap();
        let deed = || call(libc::SYS_getppid, 0);
        assert!(answers(ends(&with, deed), 0));
        assert!(is_killed(ends(&without, deed)));
        assert!(answers(ends(&told, deed), libc::EPERM));
    }

    #[test]
    fn all_but_what_is_listed_is_let_through() {
        let filter = Filter::all_but(&[row(libc::SYS_getppid, &[])], Refusal::Error(libc::ENOSYS)).unwrap();
        assert!(answers(ends(&filter, || call(libc::SYS_getppid, 0)), libc::ENOSYS));
        assert!(answers(ends(&filter, || call(libc::SYS_getsid, 0)), 0));
    }

    #[test]
    fn arguments_are_looked_at_bit_by_bit() {
        const ONE: &[When] = &[When::Bits { argument: 0, mask: 0b11, value: 0b01 }];
        const SEVEN: &[When] = &[When::Bits { argument: 0, mask: 0xff, value: 7 }];
        const NEITHER: &[When] = &[When::IsNot { argument: 0, value: 8 }, When::IsNot { argument: 0, value: 9 }];
        // Umask takes any number and always works.
        let umask = |when| row(libc::SYS_umask, when);
        let either = Filter::only(&[END, umask(ONE), umask(SEVEN)], Refusal::Error(libc::EPERM)).unwrap();
        assert!(answers(ends(&either, || call(libc::SYS_umask, 0b101)), 0));
        assert!(answers(ends(&either, || call(libc::SYS_umask, 7)), 0));
        assert!(answers(ends(&either, || call(libc::SYS_umask, 0xff_0000_0007)), 0), "above the low half");
        assert!(answers(ends(&either, || call(libc::SYS_umask, 0b10)), libc::EPERM));
        assert!(answers(ends(&either, || call(libc::SYS_umask, 0x107 ^ 4)), libc::EPERM));
        let both = Filter::all_but(&[umask(NEITHER)], Refusal::Error(libc::EPERM)).unwrap();
        assert!(answers(ends(&both, || call(libc::SYS_umask, 8)), 0));
        assert!(answers(ends(&both, || call(libc::SYS_umask, 0xff_0000_0009)), 0));
        assert!(answers(ends(&both, || call(libc::SYS_umask, 10)), libc::EPERM));
    }

    #[test]
    fn a_list_that_contradicts_itself_is_none() {
        const ONE: &[When] = &[When::Bits { argument: 0, mask: 1, value: 1 }];
        for rows in [[row(1, &[]), row(1, ONE)], [row(1, ONE), row(1, &[])], [row(1, &[]), row(1, &[])]] {
            assert!(Filter::only(&rows, Refusal::Death).unwrap_err().contains("twice"));
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_second_numbers_of_this_processor_are_refused() {
        // Everything is let through but one call that nobody makes, and yet:
        let filter = Filter::all_but(&[row(libc::SYS_reboot, &[])], Refusal::Error(libc::EPERM)).unwrap();
        assert!(is_killed(ends(&filter, || call(0x4000_0000 | libc::SYS_getppid, 0))));
        assert!(answers(ends(&filter, || call(libc::SYS_getppid, 0)), 0));
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn another_architecture_is_refused() {
        /// `getppid` as a program of 32 bits asks for it.
        fn deed() -> i32 {
            let answer: i64;
            // SAFETY: the call takes no argument and changes nothing but the register that holds its answer.
            unsafe {
                std::arch::asm!("int 0x80", inlateout("rax") 64_i64 => answer, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
            };
            i32::from(answer <= 0)
        }
        let child = crate::sys::fork::fork(deed);
        if !answers(waitpid(child.unwrap(), None).unwrap(), 0) {
            // This kernel has no calls of 32 bits, so that there is nothing to refuse.
            return;
        }
        let filter = Filter::all_but(&[row(libc::SYS_reboot, &[])], Refusal::Error(libc::EPERM)).unwrap();
        assert!(is_killed(ends(&filter, deed)));
    }
}
