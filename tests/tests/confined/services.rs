//! Services of the distribution as granted programs: a database that must not run twice, and a server of root's port.

use std::fs;

use ocf_wasm_tests::host::{finish, until};
use ocf_wasm_tests::node::room;

use super::{Room, is_there, label};

const POSTGRES: &str = "/usr/lib/postgresql/15/bin";
const NGINX: &str = "/usr/sbin/nginx";

#[test]
fn a_database_is_seen_by_who_asks_and_started_once() {
    if !room() || !is_there(&format!("{POSTGRES}/postgres"), "postgresql") {
        return;
    }
    let inside = Room::new(&[]);
    let executor = &inside.node.executor;
    let data = "/run/database/data";
    fs::create_dir(executor.inside("/run/database")).unwrap();
    assert_eq!(finish(&mut executor.command(&["chown", "postgres", "/run/database"])).code, 0);
    let make = format!("{POSTGRES}/initdb -D {data} -A trust --no-sync >/dev/null");
    let made = finish(&mut executor.command(&[
        "setpriv",
        "--reuid=postgres",
        "--regid=postgres",
        "--init-groups",
        "sh",
        "-c",
        &make,
    ]));
    assert_eq!(made.code, 0, "{made:#?}");

    let grant = "user = \"postgres\"\nview = { write = [\"/run/database\"] }\nrequire = [\"view\", \"landlock\"]";
    let server = |more: &str| {
        let argv = ["-D", data, "-k", "/run/database", "-c", "listen_addresses=", "-c", "fsync=off"];
        let more = format!("lifetime = \"instance\"\nstop = [{{ signal = \"INT\", grace = \"rest\" }}]\n{grant}{more}");
        label("daemon", &format!("{POSTGRES}/postgres"), &argv, &more)
    };
    let asks = |more: &str| {
        let more = format!("lifetime = \"action\"\n{grant}{more}");
        label("stuck", &format!("{POSTGRES}/pg_ctl"), &["status", "-D", data], &more)
    };
    inside.policy(&(server("") + &asks("")));
    let says = |status: &str| {
        let said = inside.relay().unwrap();
        assert!(said[0].contains(&format!("Exited({status})")), "{said:#?}");
    };
    says("3");
    let started = inside.act("start", "one", &["daemon=true"]);
    assert_eq!(started.code, 0, "{started:#?}");
    // What the action of another instance left is seen, and the same data is not served a second time.
    until_ready(&inside);
    says("0");
    let _ = inside.act("start", "two", &["daemon=true"]);
    let report = executor.inside("/run/ocf-wasm/test/hostile/two/daemon.daemon");
    until("the second one has given up", || {
        let said = fs::read(&report).unwrap_or_default();
        String::from_utf8_lossy(&said).contains("lock file \"postmaster.pid\" already exists")
    });
    assert_eq!(inside.act("stop", "two", &["daemon=true"]).code, 0);
    says("0");
    // This is why it sees the processes of the node: in a namespace of its own it would see no server.
    inside.policy(&(server("") + &asks("\nnamespaces = [\"pid\"]")));
    says("3");
    inside.policy(&(server("") + &asks("")));
    assert_eq!(inside.act("stop", "one", &["daemon=true"]).code, 0);
    says("3");
    assert_eq!(inside.node.count("postgres -D"), 0);
    let control = finish(&mut executor.command(&[&format!("{POSTGRES}/pg_controldata"), data]));
    assert!(control.stdout.contains("shut down") && !control.stdout.contains("in production"), "{control:#?}");
}

fn until_ready(inside: &Room) {
    until("the database answers", || {
        let words = [&format!("{POSTGRES}/pg_isready"), "-h", "/run/database"];
        finish(&mut inside.node.executor.command(&words)).code == 0
    });
}

const CONFIGURATION: &str = "user www-data; pid /run/web/pid; error_log stderr; worker_processes 1; events {}
http {
    access_log off;
    client_body_temp_path /run/web/a; proxy_temp_path /run/web/b; fastcgi_temp_path /run/web/c; uwsgi_temp_path /run/web/d;
    scgi_temp_path /run/web/e;
    server { listen 80; location / { root /run/web/pages; } }
}
";

#[test]
fn a_server_has_the_port_of_root_and_three_of_its_rights() {
    if !room() || !is_there(NGINX, "nginx-light") {
        return;
    }
    let inside = Room::new(&[]);
    let executor = &inside.node.executor;
    fs::create_dir_all(executor.inside("/run/web/pages")).unwrap();
    fs::write(executor.inside("/run/web/conf"), CONFIGURATION).unwrap();
    fs::write(executor.inside("/run/web/pages/index.html"), "served\n").unwrap();
    // As its package makes them: it would need one more right to give them away.
    for name in ["a", "b", "c", "d", "e"] {
        let place = format!("/run/web/{name}");
        fs::create_dir(executor.inside(&place)).unwrap();
        assert_eq!(finish(&mut executor.command(&["chown", "www-data", &place])).code, 0);
    }
    let argv = ["-e", "stderr", "-c", "/run/web/conf", "-g", "daemon off;"];
    let server = |capabilities: &str| {
        let more = format!(
            "lifetime = \"instance\"\nuser = \"root\"\ncapabilities = [{capabilities}]\nnetwork = \"host\"\n\
             view = {{ read = [\"/run/web/pages\"], write = [\"/run/web\"] }}\nstop = [{{ signal = \"QUIT\", grace = \"rest\" }}]"
        );
        label("daemon", NGINX, &argv, &more)
    };
    let page = || {
        let get = "exec 3<>/dev/tcp/127.0.0.1/80 && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3";
        finish(&mut executor.command(&["bash", "-c", get])).stdout
    };
    let all = "\"NET_BIND_SERVICE\", \"SETUID\", \"SETGID\"";
    inside.policy(&server(all));
    let started = inside.act("start", "web", &["daemon=true"]);
    assert_eq!(started.code, 0, "{started:#?}");
    until("it serves", || page().ends_with("served\n"));
    let whose = "for pid in $(pgrep nginx); do grep -E '^(Uid|CapEff|CapBnd)' /proc/$pid/status; done";
    let whose = finish(&mut executor.command(&["sh", "-c", whose])).stdout;
    // SETGID, SETUID and NET_BIND_SERVICE are numbers 6, 7 and 10.
    assert_eq!(whose.matches("CapBnd:\t00000000000004c0").count(), 2, "{whose}");
    assert_eq!(
        (whose.matches("CapEff:\t00000000000004c0").count(), whose.matches("CapEff:\t0000000000000000").count()),
        (1, 1)
    );
    assert_eq!((whose.matches("Uid:\t0\t").count(), whose.matches("Uid:\t33\t").count()), (1, 1), "{whose}");
    assert_eq!(inside.act("stop", "web", &["daemon=true"]).code, 0);
    assert_eq!(inside.node.count("nginx: "), 0);
    // One right less, and the port is not its own.
    inside.policy(&server("\"SETUID\", \"SETGID\""));
    let _ = inside.act("start", "web", &["daemon=true"]);
    let report = executor.inside("/run/ocf-wasm/test/hostile/web/daemon.daemon");
    until("it has given up", || {
        let said = fs::read(&report).unwrap_or_default();
        String::from_utf8_lossy(&said).contains("bind() to 0.0.0.0:80 failed (13: Permission denied)")
    });
}
