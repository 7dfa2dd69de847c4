//! System calls that a process may still make, as rows of data: from rows to a program for the kernel, to a filter in
//! force.
//!
//! A filter looks at numbers only: the call's, and the low 32 bits of its arguments, never at memory that an argument
//! points to. The first instructions refuse what has another meaning for numbers: any other architecture than the one
//! that this was built for, and x32, both by death, whatever the rows say.
//!
//! The kernel tries a new filter with every number that there is, so each instruction on the way costs: no crate's
//! program is as short (seccompiler's takes twice as long to install, 50 us of each action). No jump is long enough to
//! be limited by its 8 bits.
//!
//! What must never enter here: which calls. Each list stands beside the process that it is for, a reason a row.

use std::collections::BTreeMap;

use libc::sock_filter;

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

impl When {
    /// Memory may be taken, read and written, but never executed: of mmap and mprotect.
    pub const NOT_EXECUTABLE: &[Self] = &[Self::Bits { argument: 2, mask: libc::PROT_EXEC.cast_unsigned(), value: 0 }];
}

impl Row {
    /// A system call, whatever its arguments are.
    pub const fn always(number: i64, name: &'static str, why: &'static str) -> Self {
        Self { number, name, when: &[], why }
    }
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
pub struct Filter(Vec<sock_filter>);

impl Filter {
    /// Lets through what is in a list, and refuses all else.
    ///
    /// # Errors
    /// A sentence, if the list is no list: see [`Row::when`].
    pub fn only(rows: &[Row], else_: Refusal) -> Result<Self, String> {
        Self::new(rows, libc::SECCOMP_RET_ALLOW, else_.answer())
    }

    /// Refuses what is in a list, and lets through all else. What a newer kernel knows besides is let through: for
    /// programs that are not ours, beside layers that do not ask for names.
    ///
    /// # Errors
    /// See [`Filter::only`].
    pub fn all_but(rows: &[Row], refused: Refusal) -> Result<Self, String> {
        Self::new(rows, refused.answer(), libc::SECCOMP_RET_ALLOW)
    }

    fn new(rows: &[Row], matching: u32, else_: u32) -> Result<Self, String> {
        let mut cases: BTreeMap<u32, Vec<&'static [When]>> = BTreeMap::new();
        for row in rows {
            let number = u32::try_from(row.number).map_err(|_| format!("{}: is no call", row.name))?;
            let of_call = cases.entry(number).or_default();
            if of_call.iter().any(|when| when.is_empty()) || !of_call.is_empty() && row.when.is_empty() {
                return Err(format!("{}: stands twice, once without a condition", row.name));
            }
            of_call.push(row.when);
        }
        let last = cases.keys().next_back().copied().unwrap_or(0);
        let mut program = vec![
            load(ARCHITECTURE_AT),
            jump(EQUAL, ARCHITECTURE, 1, 0),
            answer(libc::SECCOMP_RET_KILL_PROCESS),
            load(NUMBER_AT),
            // Most numbers are beyond the last that is listed.
            jump(GREATER, last, 0, 3),
            jump(GREATER, X32 - 1, 0, 1),
            answer(libc::SECCOMP_RET_KILL_PROCESS),
            answer(else_),
        ];
        for (number, cases) in cases {
            let mut of_call = Vec::new();
            let is_conditional = cases.iter().all(|when| !when.is_empty());
            for when in cases {
                let tests: Vec<sock_filter> = when.iter().rev().fold(Vec::new(), |rest, one| one.before(rest));
                of_call.extend(tests);
                of_call.push(answer(matching));
            }
            if is_conditional {
                of_call.push(answer(else_));
            }
            let skip = u8::try_from(of_call.len()).map_err(|_| format!("call {number}: too many conditions"))?;
            program.push(jump(EQUAL, number, 0, skip));
            program.append(&mut of_call);
        }
        program.push(answer(else_));
        Ok(Self(program))
    }

    /// Puts the filter in force for this thread, its children and what it executes, for ever. It needs `no_new_privs`.
    /// A filter may follow another: the harder answer counts.
    ///
    /// # Errors
    /// If the kernel has none, or an earlier filter refuses it.
    pub fn install(&self) -> std::io::Result<()> {
        crate::sys::seccomp::install(&self.0)
    }
}

impl When {
    /// The instructions of this condition, before those of the rest of its case: if it does not hold, to what follows
    /// the case's answer.
    fn before(&self, rest: Vec<sock_filter>) -> Vec<sock_filter> {
        // The rest, and the answer behind it. A case has at most six conditions: one an argument.
        let over = u8::try_from(rest.len() + 1).unwrap_or(u8::MAX);
        let mut all = match *self {
            Self::Bits { argument, mask, value } => {
                vec![load(argument_at(argument)), and(mask), jump(EQUAL, value, 0, over)]
            }
            Self::IsNot { argument, value } => vec![load(argument_at(argument)), jump(EQUAL, value, over, 0)],
        };
        all.extend(rest);
        all
    }
}

impl Refusal {
    fn answer(self) -> u32 {
        match self {
            Self::Death => libc::SECCOMP_RET_KILL_PROCESS,
            Self::Error(number) => libc::SECCOMP_RET_ERRNO | number.unsigned_abs() & libc::SECCOMP_RET_DATA,
        }
    }
}

/// The kernel of x86-64 takes each call under a second number too, of the ABI x32, whose bit 30 is set. No such number
/// exists elsewhere.
const X32: u32 = 0x4000_0000;

/// `AUDIT_ARCH_*` of this processor.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// What a filter sees, `struct seccomp_data`, by the offsets of its parts: all processors that this is for store the
/// low half first.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const fn argument_at(argument: u8) -> u32 {
    16 + 8 * argument as u32
}

/// Codes of instructions have 16 bits, and each of these is below 0x100.
#[allow(clippy::cast_possible_truncation, reason = "see above")]
const fn code(parts: u32) -> u16 {
    parts as u16
}
const EQUAL: u16 = code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K);
const GREATER: u16 = code(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K);

const fn load(at: u32) -> sock_filter {
    sock_filter { code: code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS), jt: 0, jf: 0, k: at }
}
const fn and(mask: u32) -> sock_filter {
    sock_filter { code: code(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K), jt: 0, jf: 0, k: mask }
}
const fn answer(value: u32) -> sock_filter {
    sock_filter { code: code(libc::BPF_RET | libc::BPF_K), jt: 0, jf: 0, k: value }
}
/// Goes on `yes` or `no` instructions further than the next one.
const fn jump(code: u16, value: u32, yes: u8, no: u8) -> sock_filter {
    sock_filter { code, jt: yes, jf: no, k: value }
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
        let child = crate::sys::fork::fork(|| {
            let _ = nix::sys::prctl::set_no_new_privs();
            match filter.install() {
                Ok(()) => deed(),
                Err(_) => 99,
            }
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
