//! A stop for which nothing can be written down: what is ended is ended.

use super::*;

/// What is done to /run, and how it is mended.
const FULL: (&str, &str) = ("! head -c 1M /dev/zero >/run/ocf-wasm/filling", "rm /run/ocf-wasm/filling");
const FIXED: (&str, &str) = ("mount -o remount,ro /run/ocf-wasm", "mount -o remount,rw /run/ocf-wasm");

#[test]
fn a_unit_is_stopped_where_run_cannot_be_written() {
    if !room() {
        return;
    }
    for (spoil, mend) in [FULL, FIXED] {
        let node = Node::new("full");
        let port = 5660;
        node.greeter("greeter.service", port, "", "Environment=GREET=Hello!");
        let sh = |script: &str| node.machine.must(&["sh", "-c", script]);
        sh("mkdir -p /run/ocf-wasm; mount -t tmpfs -o size=256k,mode=0700 none /run/ocf-wasm");
        let stops = |what: &str| {
            sh(spoil);
            let ran = node.act("stop", port, &[]);
            assert_eq!(ran.code, 0, "{what}: {spoil}: {ran:#?}");
            assert_eq!(node.state("greeter"), "inactive", "{what}: {spoil}");
            sh(mend);
        };
        let _ = node.act("start", port, &[]).is(0);
        stops("started");
        let _ = node.act("stop", port, &[]).is(0);
        node.machine.must(&["systemctl", "start", "greeter"]);
        let _ = node.probe(port).is(0);
        assert_eq!(node.why(port)["state"], "adopted");
        stops("adopted");
        let _ = node.act("stop", port, &[]).is(0);
        let _ = node.act("start", port, &[]).is(0);
        sh("rm -rf /var/lib/ocf-wasm/blobs /var/cache/ocf-wasm");
        stops("without its plugin");
    }
}
