//! Clusters that the tests of this file take turns with: to bring one up costs more than most tests.
//!
//! A test that fails takes its cluster down with it, and so does one that says it leaves damage.

use std::ops::Deref;
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use ocf_wasm_tests::cluster::{Cluster, LONG, Setup, available};
use ocf_wasm_tests::host::skip;

/// How many there are at the same time: each costs 600 MB, and 3 % of a processor while it idles.
const AT_MOST: usize = 2;
/// What every node has.
const PLUGINS: [&str; 4] = ["anything", "dummy", "sample-tcp-server", "stateful"];

#[derive(Debug, Default)]
struct Pool {
    free: Vec<Cluster>,
    taken: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { free: Vec::new(), taken: 0 });
static RETURNED: Condvar = Condvar::new();

/// Whether clusters can be had here; says aloud when not.
pub(crate) fn has_room() -> bool {
    static ROOM: OnceLock<Result<(), String>> = OnceLock::new();
    match ROOM.get_or_init(available) {
        Ok(()) => true,
        Err(why) => skip(why),
    }
}

/// Whether nodes with a systemd can be had here; says aloud when not.
pub(crate) fn has_boxes() -> bool {
    static BOXES: OnceLock<Result<(), String>> = OnceLock::new();
    has_room()
        && match BOXES.get_or_init(ocf_wasm_tests::boxes::available) {
            Ok(()) => true,
            Err(why) => skip(why),
        }
}

/// A place for a cluster, and the cluster.
#[derive(Debug)]
pub(crate) struct Taken {
    cluster: Option<Cluster>,
    is_spoilt: bool,
}

/// Takes three nodes with all plugins and nothing configured; none where no cluster can be had.
pub(crate) fn take() -> Option<Taken> {
    if !has_room() {
        return None;
    }
    let free = {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        while pool.taken == AT_MOST {
            pool = RETURNED.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
        pool.taken += 1;
        pool.free.pop()
    };
    // From here on the place is given back, whatever happens.
    let mut taken = Taken { cluster: free, is_spoilt: false };
    if taken.cluster.is_none() {
        let cluster = Cluster::up(Setup::default()).unwrap();
        println!("three nodes were up after {:.1} s", cluster.ready_after().as_secs_f64());
        taken.cluster = Some(cluster);
        taken.install(&PLUGINS).unwrap();
    }
    Some(taken)
}

impl Taken {
    /// The cluster is not given to another test.
    pub(crate) fn spoil(&mut self) {
        self.is_spoilt = true;
    }
}

impl Deref for Taken {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.cluster.as_ref().unwrap()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let cluster = self.cluster.take().filter(|_| !self.is_spoilt && !std::thread::panicking());
        // Whoever cannot be tidied up is the reason for no failure, only for a new cluster.
        let tidied = cluster.and_then(|cluster| {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tidy(&cluster))).is_ok().then_some(cluster)
        });
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        pool.taken -= 1;
        pool.free.extend(tidied);
        RETURNED.notify_one();
    }
}

/// Makes a cluster as it was: all nodes in it, nothing configured, nothing left, nothing remembered.
fn tidy(cluster: &Cluster) {
    cluster.give_power_back(true);
    for node in cluster.nodes() {
        node.power_on().unwrap();
    }
    cluster.await_all(LONG).unwrap();
    cluster.clear();
    cluster.until("all is cleared", LONG, |now| {
        (now.resources.len() == 1 && now.is_stopped("power") == now.nodes_in("power", "Started").is_empty())
            .then_some(())
    });
    cluster.must(&["crm_resource", "--cleanup"]);
    cluster.must(&["stonith_admin", "--history", "*", "--cleanup"]);
    for node in cluster.nodes() {
        let left = node.processes("ocf-wasm-keeper|examples/greeter");
        assert!(left.is_empty(), "left on {}: {left:?}", node.name());
        node.forget().unwrap();
    }
}
