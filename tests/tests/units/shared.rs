//! Two instances of one agent, which one policy binds to one unit.

use super::*;

#[test]
fn a_unit_is_had_by_one_instance() {
    if !room() {
        return;
    }
    let node = Node::new("shared");
    let (ours, theirs) = (5630, 5631);
    node.greeter("greeter.service", ours, "", "");
    let _ = node.act("start", ours, &[]).is(0);
    let main = node.main("greeter");
    // To the other one it is not there: its probe does not claim it, and its stop does not touch it.
    let _ = node.probe(theirs).is(7);
    let _ = node.act("start", theirs, &[]).is(5).says("its unit is had by the instance greet-5630");
    let _ = node.act("stop", theirs, &[]).is(0);
    let _ = node.monitor(ours).is(0);
    assert_eq!(node.main("greeter"), main);
    let _ = node.act("stop", ours, &[]).is(0);
    // Once it is stopped, it is anybody's.
    node.greeter("greeter.service", theirs, "", "");
    let _ = node.act("start", theirs, &[]).is(0);
    let _ = node.probe(ours).is(7);
    let _ = node.act("stop", theirs, &[]).is(0);
}
