//! Speaks to the executor through Pacemaker's own library, liblrmd, loaded at run time.
//!
//! Loading instead of linking keeps the tests free of development packages and of a C compiler. The price is that the
//! layout of three C structures is written down here by hand, from `crm/lrmd.h` of Pacemaker 2.1.5; therefore any
//! other version of the library is refused. All `unsafe` of this crate is in this file.

#![expect(unsafe_code, reason = "liblrmd and GLib are C libraries, and lrmd hands out tables of C functions")]

use crate::say;
use anyhow::{Context as _, bail};
use libloading::Library;
use ocf_wasm_tests::executor::protocol::{Event, Line, Numbered, Request};
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::process::exit;
use std::time::{Duration, Instant};

/// The library, by the name that stands for its binary interface.
const LRMD: &str = "liblrmd.so.28";
/// Versions of it whose header agrees with the structures below.
const KNOWN: [&str; 1] = ["28.1.5"];
const GLIB: &str = "libglib-2.0.so.0";

/// `lrmd_event_exec_complete` and `lrmd_event_disconnect` of `enum lrmd_callback_event`.
const EXEC_COMPLETE: c_int = 2;
const DISCONNECT: c_int = 3;
/// `G_IO_IN | G_IO_HUP | G_IO_ERR`.
const READABLE: c_uint = 1 | 16 | 8;

/// `lrmd_t`.
#[repr(C)]
struct Connection {
    operations: *const Operations,
    private: *mut c_void,
}

/// The first part of `lrmd_api_operations_t`, as far as it is used.
#[repr(C)]
struct Operations {
    connect: unsafe extern "C" fn(*mut Connection, *const c_char, *mut c_int) -> c_int,
    connect_async: unsafe extern "C" fn(*mut Connection, *const c_char, c_int) -> c_int,
    is_connected: unsafe extern "C" fn(*mut Connection) -> c_int,
    poke_connection: unsafe extern "C" fn(*mut Connection) -> c_int,
    disconnect: unsafe extern "C" fn(*mut Connection) -> c_int,
    register_rsc: unsafe extern "C" fn(
        *mut Connection,
        *const c_char,
        *const c_char,
        *const c_char,
        *const c_char,
        c_int,
    ) -> c_int,
    get_rsc_info: unsafe extern "C" fn(*mut Connection, *const c_char, c_int) -> *mut c_void,
    get_recurring_ops: unsafe extern "C" fn(*mut Connection, *const c_char, c_int, c_int, *mut *mut c_void) -> c_int,
    unregister_rsc: unsafe extern "C" fn(*mut Connection, *const c_char, c_int) -> c_int,
    set_callback: unsafe extern "C" fn(*mut Connection, unsafe extern "C" fn(*const EventData)),
    exec: unsafe extern "C" fn(
        *mut Connection,
        *const c_char,
        *const c_char,
        *const c_char,
        c_uint,
        c_int,
        c_int,
        c_int,
        *mut KeyValue,
    ) -> c_int,
    cancel: unsafe extern "C" fn(*mut Connection, *const c_char, *const c_char, c_uint) -> c_int,
}

/// `lrmd_key_value_t`: made and freed by the library, so only ever a pointer.
#[repr(C)]
struct KeyValue {
    key: *mut c_char,
    value: *mut c_char,
    next: *mut KeyValue,
}

/// `lrmd_event_data_t`.
#[repr(C)]
struct EventData {
    r#type: c_int,
    rsc_id: *const c_char,
    op_type: *const c_char,
    user_data: *const c_char,
    call_id: c_int,
    timeout: c_int,
    interval_ms: c_uint,
    start_delay: c_int,
    rsc_deleted: c_int,
    rc: c_int,
    op_status: c_int,
    output: *const c_char,
    t_run: c_uint,
    t_rcchange: c_uint,
    exec_time: c_uint,
    queue_time: c_uint,
    connection_rc: c_int,
    params: *mut c_void,
    remote_nodename: *const c_char,
    exit_reason: *const c_char,
}

/// The functions used, out of libraries that are never unloaded.
struct Functions {
    api_new: unsafe extern "C" fn() -> *mut Connection,
    key_value_add: unsafe extern "C" fn(*mut KeyValue, *const c_char, *const c_char) -> *mut KeyValue,
    strerror: unsafe extern "C" fn(c_int) -> *const c_char,
    log_preinit: unsafe extern "C" fn(*const c_char, c_int, *mut *mut c_char),
    main_loop_new: unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void,
    main_loop_run: unsafe extern "C" fn(*mut c_void),
    unix_fd_add: unsafe extern "C" fn(
        c_int,
        c_uint,
        unsafe extern "C" fn(c_int, c_uint, *mut c_void) -> c_int,
        *mut c_void,
    ) -> c_uint,
}

/// The talk with one executor.
struct Client {
    functions: Functions,
    connection: *mut Connection,
    /// What came from the test process and is not a whole line yet.
    unread: RefCell<Vec<u8>>,
}

/// Connects to the executor, then serves requests until the test process is gone.
pub(crate) fn run(ready_within: Duration) -> anyhow::Result<()> {
    let functions = Functions::load()?;
    // SAFETY: the name outlives the call, and the library accepts an empty argument list.
    unsafe { (functions.log_preinit)(c"executor-client".as_ptr(), 0, std::ptr::null_mut()) };
    // SAFETY: takes nothing, returns an object of its own or null.
    let connection = unsafe { (functions.api_new)() };
    if connection.is_null() {
        bail!("{LRMD} made no connection object");
    }
    // SAFETY: the library points this at a static table with at least these entries (layout checked by version).
    let operations = unsafe { &*(*connection).operations };
    // SAFETY: the connection is live, the callback has the declared type and stays for good.
    unsafe { (operations.set_callback)(connection, on_event) };
    // SAFETY: null asks for the default context.
    let main_loop = unsafe { (functions.main_loop_new)(std::ptr::null_mut(), 0) };

    let limit = Instant::now() + ready_within;
    loop {
        // SAFETY: the connection is live; no descriptor pointer means events come through the main loop.
        let rc = unsafe { (operations.connect)(connection, c"executor-client".as_ptr(), std::ptr::null_mut()) };
        if rc == 0 {
            break;
        }
        if Instant::now() > limit {
            bail!("the executor does not answer: {}", functions.words_for(rc));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    say(&Line::Ready)?;

    let client: &'static Client = Box::leak(Box::new(Client { functions, connection, unread: RefCell::default() }));
    // SAFETY: the callback has the type GLib expects, and its data is never freed.
    unsafe {
        (client.functions.unix_fd_add)(0, READABLE, on_readable, std::ptr::from_ref(client).cast_mut().cast());
        (client.functions.main_loop_run)(main_loop);
    }
    Ok(())
}

/// Says why the libraries of this machine cannot be used, if they cannot.
pub(crate) fn try_library() -> anyhow::Result<()> {
    Functions::load().map(drop)
}

impl Functions {
    fn load() -> anyhow::Result<Self> {
        // SAFETY: the initialisers of these libraries only set up their own data; this process has one thread.
        let (lrmd, glib) = unsafe { (Library::new(LRMD), Library::new(GLIB)) };
        let lrmd: &'static Library = Box::leak(Box::new(lrmd.context(LRMD)?));
        let glib: &'static Library = Box::leak(Box::new(glib.context(GLIB)?));
        require_known(&loaded_version()?)?;
        // SAFETY: every type is that of the C declaration in the headers of these versions.
        unsafe {
            Ok(Self {
                api_new: *lrmd.get(b"lrmd_api_new\0")?,
                key_value_add: *lrmd.get(b"lrmd_key_value_add\0")?,
                strerror: *lrmd.get(b"pcmk_strerror\0")?,
                log_preinit: *lrmd.get(b"crm_log_preinit\0")?,
                main_loop_new: *glib.get(b"g_main_loop_new\0")?,
                main_loop_run: *glib.get(b"g_main_loop_run\0")?,
                unix_fd_add: *glib.get(b"g_unix_fd_add\0")?,
            })
        }
    }

    /// The library's words for one of its return codes.
    fn words_for(&self, rc: c_int) -> String {
        // SAFETY: takes any number and returns a static string.
        let words = unsafe { text((self.strerror)(rc)) };
        format!("{} ({rc})", words.unwrap_or_default())
    }
}

/// Version of the loaded library, from the name of its file.
fn loaded_version() -> anyhow::Result<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").context("/proc/self/maps")?;
    let file = maps.lines().find_map(|line| line.split_once("/liblrmd.so.").map(|(_, version)| version.to_owned()));
    file.with_context(|| format!("{LRMD} is loaded from a file of another name"))
}

fn require_known(version: &str) -> anyhow::Result<()> {
    if !KNOWN.contains(&version) {
        bail!(
            "liblrmd.so.{version} is not a version whose structures these tests know (known: {}): \
             compare its crm/lrmd.h with tests/src/executor/client.rs, then add it there",
            KNOWN.join(", ")
        );
    }
    Ok(())
}

impl Client {
    /// Does what one line asks and answers it.
    fn serve(&self, line: &[u8]) -> anyhow::Result<()> {
        let Numbered { id, request } = serde_json::from_slice(line).context("a request")?;
        let outcome = match self.ask(request) {
            Ok(rc) if rc < 0 => Err(self.functions.words_for(rc)),
            Ok(rc) => Ok(rc),
            Err(error) => Err(format!("{error:#}")),
        };
        say(&Line::Reply { id, outcome })
    }

    fn ask(&self, request: Request) -> anyhow::Result<c_int> {
        let to = self.connection;
        // SAFETY: as in `run`: a static table of known layout, on a connection that is never freed.
        let operations = unsafe { &*(*to).operations };
        match request {
            Request::Register { rsc, provider, r#type } => {
                let (rsc, provider, r#type) = (CString::new(rsc)?, CString::new(provider)?, CString::new(r#type)?);
                // SAFETY: live connection, strings that outlive the call and are copied by it.
                Ok(unsafe {
                    (operations.register_rsc)(to, rsc.as_ptr(), c"ocf".as_ptr(), provider.as_ptr(), r#type.as_ptr(), 0)
                })
            }
            Request::Exec { rsc, action, interval_ms, timeout_ms, parameters } => {
                let (rsc, action) = (CString::new(rsc)?, CString::new(action)?);
                let mut list = std::ptr::null_mut();
                for (name, value) in parameters {
                    let (name, value) = (CString::new(name)?, CString::new(value)?);
                    // SAFETY: the list is null or came from this function, which copies both strings.
                    list = unsafe { (self.functions.key_value_add)(list, name.as_ptr(), value.as_ptr()) };
                }
                // SAFETY: live connection, strings that outlive the call; the call takes the list over.
                Ok(unsafe {
                    (operations.exec)(
                        to,
                        rsc.as_ptr(),
                        action.as_ptr(),
                        std::ptr::null(),
                        interval_ms,
                        timeout_ms,
                        0,
                        0,
                        list,
                    )
                })
            }
            Request::Cancel { rsc, action, interval_ms } => {
                let (rsc, action) = (CString::new(rsc)?, CString::new(action)?);
                // SAFETY: live connection, strings that outlive the call.
                Ok(unsafe { (operations.cancel)(to, rsc.as_ptr(), action.as_ptr(), interval_ms) })
            }
            Request::Unregister { rsc } => {
                let rsc = CString::new(rsc)?;
                // SAFETY: live connection, a string that outlives the call.
                Ok(unsafe { (operations.unregister_rsc)(to, rsc.as_ptr(), 0) })
            }
            Request::Quit => exit(0),
        }
    }
}

/// The main loop's call when the test process has written or is gone.
unsafe extern "C" fn on_readable(_: c_int, _: c_uint, data: *mut c_void) -> c_int {
    // SAFETY: the data given with the callback: a client that is never freed, used by this one thread.
    let client = unsafe { &*data.cast::<Client>() };
    let mut chunk = [0; 4096];
    match rustix::io::read(std::io::stdin(), &mut chunk) {
        Err(rustix::io::Errno::INTR) => return 1,
        Ok(0) | Err(_) => exit(0),
        Ok(length) => client.unread.borrow_mut().extend_from_slice(&chunk[..length]),
    }
    loop {
        let line = {
            let mut unread = client.unread.borrow_mut();
            let Some(end) = unread.iter().position(|byte| *byte == b'\n') else { return 1 };
            unread.drain(..=end).collect::<Vec<u8>>()
        };
        client.serve(&line).unwrap_or_else(|error| give_up(&error));
    }
}

/// The library's call for everything the executor reports.
unsafe extern "C" fn on_event(event: *const EventData) {
    // SAFETY: the library passes an event that stays valid during the call, of the layout checked by version.
    let event = unsafe { &*event };
    match event.r#type {
        EXEC_COMPLETE => {}
        DISCONNECT => give_up(&anyhow::anyhow!("pacemaker-execd closed the connection")),
        _ => return,
    }
    // SAFETY: each is null or a C string that lives as long as the event.
    let (rsc, action, output, reason) =
        unsafe { (text(event.rsc_id), text(event.op_type), text(event.output), text(event.exit_reason)) };
    let event = Event {
        rsc: rsc.unwrap_or_default(),
        action: action.unwrap_or_default(),
        interval_ms: event.interval_ms,
        call: event.call_id,
        rc: event.rc,
        status: event.op_status.into(),
        reason: reason.filter(|reason| !reason.is_empty()),
        output: output.unwrap_or_default(),
        exec_time_ms: event.exec_time,
        queue_time_ms: event.queue_time,
    };
    say(&Line::Event(event)).unwrap_or_else(|error| give_up(&error));
}

/// Copies a C string.
///
/// # Safety
///
/// `string` must be null or point to a string that ends in a null byte.
unsafe fn text(string: *const c_char) -> Option<String> {
    // SAFETY: promised by the caller.
    (!string.is_null()).then(|| unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned())
}

/// Ends the capsule: there is no one left to talk to.
fn give_up(error: &anyhow::Error) -> ! {
    eprintln!("{error:#}");
    exit(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_library_of_unknown_layout_in_words() {
        let refusal = require_known("28.9.9").unwrap_err().to_string();
        assert!(
            refusal.starts_with("liblrmd.so.28.9.9 is not a version whose structures these tests know"),
            "{refusal}"
        );
        assert!(require_known("28.1.5").is_ok());
    }

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn lays_structures_out_as_the_header_does() {
        // What a C compiler says of crm/lrmd.h on a 64-bit machine.
        assert_eq!(std::mem::size_of::<EventData>(), 120);
        assert_eq!(std::mem::offset_of!(EventData, output), 64);
        assert_eq!(std::mem::offset_of!(EventData, exit_reason), 112);
        assert_eq!(std::mem::offset_of!(Operations, cancel), 11 * 8);
    }
}
