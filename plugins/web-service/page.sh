#!/bin/sh
# Starts, stops and looks for a server of one page on port 5681, with the exit statuses that the Linux Standard Base
# asks for. It has no pid file: a process is the server if it was called as this script calls it.
server="/usr/libexec/ocf-wasm/examples/greeter"
port=5681

pids() {
    for process in /proc/[0-9]*; do
        # Read without what stands between the arguments: the shell leaves out zero bytes.
        called=
        { read -r called <"$process/cmdline"; } 2>/dev/null
        [ "$called" != "$server--page--port$port" ] || echo "${process#/proc/}"
    done
}

case "$1" in
start)
    [ -n "$(pids)" ] || "$server" --page --port "$port" --double-fork
    ;;
stop)
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        left=$(pids)
        [ -n "$left" ] || exit 0
        kill $left 2>/dev/null
        sleep 0.2
    done
    echo "$0: still there: $left" >&2
    exit 1
    ;;
status)
    [ -n "$(pids)" ] || exit 3
    ;;
*)
    echo "usage: $0 start|stop|status" >&2
    exit 2
    ;;
esac
