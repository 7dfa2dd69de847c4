//! What a policy would refuse of a value that is known before anything is started.

use super::{Open, Origin, Policy, arguments, place_of, variables};

/// Where a value of a parameter is not let through into an argument or a variable: the steps to it, and why not. What
/// would have to be looked for on the node is not judged.
pub fn refused(policy: &Policy, parameter: &str, value: &str) -> Vec<(Vec<String>, String)> {
    let of_programs = policy.programs.iter().flat_map(|(label, program)| {
        let variables = variables(&program.environment, label).into_iter().map(|(_, open)| open);
        arguments(program, label).into_iter().chain(variables)
    });
    let of_units = policy.units.iter().flat_map(|(label, unit)| variables(&unit.environment, label));
    let meant = of_programs.chain(of_units.map(|(_, open)| open)).filter(|open| match open.origin {
        Origin::Parameter(name) => name == parameter && place_of(open.kind).is_none(),
        _ => false,
    });
    let why = |open: Open<'_>| open.kind.check(value).err().map(|why| (open.steps, why));
    meant.filter_map(why).collect()
}
