//! Guards by name: what stands between an input and an invariant can be left out of a build, one at a time, to see that
//! the invariant's test fails without it (`cargo xtask guards`). No build that is installed leaves anything out: it
//! takes a `--cfg guard_off="NAME"`, which only that command gives.

/// A guard: what is done, or what is taken for a value. After a second comma, what it is where this guard is left out;
/// else nothing.
#[macro_export]
macro_rules! guard {
    ($name:tt, $body:block) => {
        if !cfg!(guard_off = $name) $body
    };
    ($name:tt, $with:expr, $without:expr) => {
        if cfg!(guard_off = $name) { $without } else { $with }
    };
}
