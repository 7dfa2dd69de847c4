//! Users and groups by name, from the files alone: a static binary has no name service.

use std::path::Path;

/// The user that plugins, the compiler and the process for TLS run as.
pub const OURS: &str = "ocf-wasm";

/// What a process of a user runs as.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct User {
    /// The number.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// All groups, the primary one included.
    pub groups: Vec<u32>,
    /// The home directory.
    pub home: String,
}

/// Looks a user up in /etc/passwd and /etc/group; a decimal number stands for itself, with the group of that number.
pub fn look_up(name: &str) -> Option<User> {
    let mut user = account(name)?;
    for line in std::fs::read_to_string("/etc/group").unwrap_or_default().lines() {
        let fields: Vec<&str> = line.split(':').collect();
        if let (Some(Ok(number)), Some(members)) = (fields.get(2).map(|n| n.parse()), fields.get(3))
            && members.split(',').any(|member| member == name)
            && !user.groups.contains(&number)
        {
            user.groups.push(number);
        }
    }
    Some(user)
}

/// Looks a user up as [`look_up`] does, with the primary group only.
pub fn account(name: &str) -> Option<User> {
    if let Ok(number) = name.parse::<u32>() {
        return Some(User { uid: number, gid: number, groups: vec![number], home: "/".to_owned() });
    }
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = passwd.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let fields: Vec<&str> = line.split(':').collect();
    let (uid, gid) = (fields.get(1)?.parse().ok()?, fields.get(2)?.parse().ok()?);
    Some(User { uid, gid, groups: vec![gid], home: (*fields.get(4)?).to_owned() })
}

/// Looks a group up in /etc/group; a decimal number stands for itself.
pub fn group(name: &str) -> Option<u32> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    let line = groups.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split(':').nth(1)?.parse().ok()
}

/// Whether this process lives in a user namespace that knows one user only, as a person without root makes it. There
/// nobody can become anybody else, and what belongs to root outside shows as the overflow user's.
pub fn is_alone() -> bool {
    super::small::read(Path::new("/proc/self/uid_map"))
        .is_ok_and(|map| map.split_whitespace().nth(2).is_some_and(|count| count == "1"))
}

/// Becomes another user, for good.
///
/// # Errors
/// If a step fails, or root can be regained.
pub fn become_user(user: &User) -> std::io::Result<()> {
    use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
    let groups: Vec<Gid> = user.groups.iter().map(|g| Gid::from_raw(*g)).collect();
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    setgroups(&groups)?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    if user.uid != 0 && nix::unistd::setuid(Uid::from_raw(0)).is_ok() {
        return Err(std::io::Error::other("root could be regained"));
    }
    Ok(())
}
