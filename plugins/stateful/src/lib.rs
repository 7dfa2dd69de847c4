//! Stateful: a resource with two roles, as `ocf:pacemaker:Stateful` is. For tests of a cluster, and as a template.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
use core::time::Duration;
use ocf_agent::prelude::*;
use ocf_agent::{Agent, Health, Notification, Outcome, Parameters, Reload, Role};
use ocf_agent::{agent, clock, fail, instance, labels, log, slot, state};

/// Example resource agent with two roles
///
/// Does nothing but remember whether it runs and which role it has. To test a cluster, and a template for other agents.
#[derive(Parameters)]
#[agent(name = "ocf-wasm/stateful", promote = "10s", demote = "10s", notify = "5s", reload = "10s")]
struct Stateful {
    /// Time that each notification takes
    #[parameter(default = "0s", reloadable)]
    notify_delay: Duration,
}

labels! {
    /// tells the cluster how much this copy wants to be promoted; without it none is
    Program SCORE = "score" suggest r#"
        program  = "/usr/sbin/crm_attribute"
        argv     = ["--promotion", { slot = "change", prefix = "--", one-of = ["update=5", "update=10", "delete"] }]
        lifetime = "action"
        user     = ""
        timeout  = "4s"
        network  = "host"
        view     = { cluster = true }
        environment.OCF_RESOURCE_INSTANCE = { fact = "instance" }
        environment.OCF_RESKEY_CRM_meta_on_node = { fact = "node" }
        environment.OCF_RESKEY_CRM_meta_physical_host = { fact = "physical-host" }
        environment.OCF_RESKEY_CRM_meta_container_attribute_target = { fact = "container-attribute-target" }
    "#;
}
agent!(Stateful: role, notification, reload);

impl Agent for Stateful {
    fn start(&self) -> Outcome {
        take("unpromoted")
    }
    fn stop(&self) -> Outcome {
        set_score("stopped");
        Ok(state::delete("role")?)
    }
    fn monitor(&self) -> Outcome<Health> {
        let Some(role) = state::get_text("role")? else { return Ok(Health::NotRunning) };
        // A cluster that was restarted has forgotten the scores, and asks what runs.
        if instance::is_probe() {
            set_score(&role);
        }
        match role.as_str() {
            "promoted" => Ok(Health::Promoted),
            "unpromoted" => Ok(Health::Running),
            other => fail(format!("its role is {other:?}, which it never takes")),
        }
    }
}

impl Role for Stateful {
    fn promote(&self) -> Outcome {
        take("promoted")
    }
    fn demote(&self) -> Outcome {
        take("unpromoted")
    }
}
impl Notification for Stateful {
    fn notify(&self) -> Outcome {
        Ok(clock::sleep(self.notify_delay)?)
    }
}
impl Reload for Stateful {
    fn reload(&self) -> Outcome {
        Ok(())
    }
}

fn take(role: &str) -> Outcome {
    state::set_text("role", role)?;
    set_score(role);
    Ok(())
}

/// Without a cluster there is no score, and by hand or in a tester the resource runs all the same: no failure.
fn set_score(role: &str) {
    let change = match role {
        "promoted" => "update=10",
        "unpromoted" => "update=5",
        _ => "delete",
    };
    let why = match SCORE.run_with(&[slot("change", change)], None) {
        Ok(output) if output.succeeded() => return,
        Ok(output) => output.last_line(),
        Err(error) => error.to_string(),
    };
    // A probe is repeated, and what it finds is as it was.
    if instance::is_probe() { log::debug(why) } else { log::warning(why) }
}

#[cfg(test)]
mod tests;
