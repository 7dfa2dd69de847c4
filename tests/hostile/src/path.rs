//! Ways out of a granted directory. The test planted what it takes: links out, a FIFO, a device, a huge file.
use ocf_agent::{Cause, Error, Outcome, fail};

use crate::{FILES, SHOWN};

/// Names that stand for something else than what is below, if anybody believes them.
const NAMES: [&str; 22] = [
    "..",
    "../outside/secret",
    "a/../../outside/secret",
    "./..",
    "/",
    "/etc/passwd",
    "//etc/passwd",
    "d//../secret",
    "d/",
    "absolute",
    "relative",
    "there/secret",
    "there/",
    "root/etc/passwd",
    "fds/0",
    "mounted",
    "mounted/secret",
    "loop",
    "fifo",
    "device",
    "nul\0/../../outside/secret",
    "d/../../outside/secret",
];

/// Tries all of them with all functions, and more that is not granted.
pub(crate) fn escape() -> Outcome {
    for name in NAMES {
        report("read", name, FILES.read(name).map(|content| content.is_some()))?;
        report("list", name, FILES.list(name).map(|entries| entries.is_some()))?;
        report("write", name, FILES.write(name, b"planted", 0o644).map(|()| true))?;
        let below = format!("{name}/planted");
        report("write", &below, FILES.write(&below, b"planted", 0o644).map(|()| true))?;
        report("make-directory", &below, FILES.make_directory(&below, 0o777).map(|_| true))?;
        report("remove", &below, FILES.remove(&below))?;
    }
    report("read", &"x".repeat(5000), FILES.read(&"x".repeat(5000)).map(|_| true))?;
    report("write", "setuid", FILES.write("setuid", b"", 0o4755).map(|()| true))?;
    report("remove", "", FILES.remove(""))?;
    report("write", "too much", FILES.write("much", &vec![0; 1024 * 1024 + 1], 0o600).map(|()| true))?;
    report("write", "shown", SHOWN.write("a", b"", 0o600).map(|()| true))?;
    report("remove", "shown", SHOWN.remove("a"))?;
    report("make-directory", "shown", SHOWN.make_directory("d", 0o700))
}

/// Whether a way was open. What is not there, and what is refused, is closed.
fn report(what: &str, name: &str, answer: Result<bool, Error>) -> Outcome {
    match answer {
        Ok(false) | Err(Error { cause: Cause::Denied(_) | Cause::Invalid(_) | Cause::Other(_), .. }) => Ok(()),
        Err(Error { cause: Cause::Unavailable(_), .. }) if what == "write" || what == "make-directory" => Ok(()),
        other => fail(format!("escaped: {what} {name:?}: {other:?}")),
    }
}

/// Reads and writes through a name that is a directory now and a link out then.
pub(crate) fn race() -> Outcome {
    // However rarely the other side gets its turn, this is seen on both of its ways.
    let (mut were_read, mut were_refused) = (0, 0);
    for round in 0..20_000 {
        match FILES.read("d/secret") {
            Ok(Some(content)) if content == b"mine" => were_read += 1,
            Ok(_) => return fail("escaped: read another file"),
            Err(Error { cause: Cause::Denied(_), .. }) => were_refused += 1,
            // Renamed again and again while it is looked up.
            Err(Error { cause: Cause::Other(_), .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if round >= 2000 && were_read > 0 && were_refused > 0 {
            return Ok(());
        }
        // One action may change a thousand things.
        if round % 5 == 0
            && round < 2000
            && let Ok(false) = FILES.make_directory("d/made", 0o700)
        {
            let _ = FILES.remove("d/made");
        }
    }
    fail(format!("not tried: read {were_read} times, refused {were_refused} times"))
}

/// Makes directories below directories until it is told to stop.
pub(crate) fn nest() -> Outcome {
    for round in 0..1000 {
        let name = format!("{round}{}", "/d".repeat(100));
        if let Err(Error { cause: Cause::Denied(_), .. }) = FILES.make_directory(&name, 0o700) {
            return Ok(());
        }
    }
    fail("escaped: made a hundred thousand directories")
}

/// Reads until it is told to stop.
pub(crate) fn devour() -> Outcome {
    for _ in 0..1000 {
        if FILES.read("huge").is_err() {
            return Ok(());
        }
    }
    fail("escaped: read a thousand times a MiB")
}
