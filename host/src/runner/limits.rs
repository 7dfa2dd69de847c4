//! What one plugin may take of this node, in one action. Where the policy may say otherwise, that is said here.
//!
//! Counted by the engine where it can count, so that a plugin that goes too far is told so or traps, and the reason
//! names the limit; the kernel's own limits ([`DATA_BYTES`]) stand behind and end the runner.
//! What must never enter here: time, which is the broker's, and what is counted there (questions, log lines).

/// Bytes of linear memory, summed over all memories of the plugin, where the policy says nothing (`[limits] memory`): a
/// plugin of the SDK needs 1 or 2 MiB, one in Python about 40.
pub const MEMORY_BYTES: usize = 64 * 1024 * 1024;

/// Linear memories. Each reserves 4 GiB of addresses, whatever its size. One of Rust or C has one, a composed one has
/// one for each part.
pub const MEMORIES: usize = 8;

/// Instances of core modules. A plugin of the SDK has 4, one in Python about 20: its shared libraries.
pub const INSTANCES: usize = 64;

/// Tables. A module has one, and each group of adapters between components.
pub const TABLES: usize = 64;

/// Elements of all tables together, 8 to 16 bytes each outside the plugin's memory. A table has one for each function
/// whose address is taken: some thousands in a large program.
pub const TABLE_ELEMENTS: usize = 100_000;

/// Resources that are held at a time, as handles: 16 bytes each outside the plugin's memory. What the host offers has
/// few (streams, moments to wait for); a program that uses them lets them go.
pub const HANDLES: usize = 1_024;

/// Bytes of the host's memory that the arguments of one call, or the result of an export, may take: a value of 1 MiB and
/// room for the rest. A list of strings that all lie in one place takes its full size here.
pub const LIFTED_BYTES: usize = 1024 * 1024 + 256 * 1024;

/// Bytes of what a guest writes to its standard output and error that are kept as its last words: an exit reason has
/// 120.
pub const SAID_BYTES: usize = 4096;

/// Milliseconds of the longest sleep: an action that waits longer between two looks has no use for a deadline.
pub const SLEEP_MS: u32 = 60_000;

/// Bytes of the runner's own stack, of which [`ocf_wasm_engine::WASM_STACK_BYTES`] are the plugin's; what the engine
/// does below the plugin's deepest call must fit into the rest. What the caller's own limit was does not matter, unless
/// it cannot be raised.
pub const STACK_BYTES: u64 = 8 * 1024 * 1024;

/// Bytes that the runner may take besides linear memory: what was lifted, messages, tables, handles, the stack, and what
/// the engine keeps. It is a backstop: nothing that a plugin can do comes near it.
pub const DATA_BYTES: u64 = 64 * 1024 * 1024;
