//! Writes a resource agent as a struct of parameters and one trait.
//!
//! The host brings everything else: it reads and checks the parameters, writes the metadata, asks `monitor` before and
//! after, keeps the deadline, and owns the exit statuses. What the agent does to the node goes through labels, which
//! the operator binds to programs, directories and endpoints.
//!
//! ```
//! use ocf_agent::program::Phase;
//! use ocf_agent::{Agent, Health, Outcome, Parameters, agent, fail, labels};
//!
//! /// Runs a web server.
//! #[derive(Parameters)]
//! #[agent(name = "example/web")]
//! struct Web {
//!     /// Page that must be there
//!     #[parameter(default = "/")]
//!     page: String,
//! }
//! labels! {
//!     /// the web server in the foreground
//!     Program DAEMON = "daemon";
//! }
//! agent!(Web);
//!
//! impl Agent for Web {
//!     fn start(&self) -> Outcome {
//!         DAEMON.start()?;
//!         Ok(())
//!     }
//!     fn stop(&self) -> Outcome {
//!         Ok(DAEMON.stop()?)
//!     }
//!     fn monitor(&self) -> Outcome<Health> {
//!         match DAEMON.phase()? {
//!             Phase::Running => Ok(Health::Running),
//!             Phase::Stopped => Ok(Health::NotRunning),
//!             other => fail(format!("{}: {other:?}", self.page)),
//!         }
//!     }
//! }
//!
//! // The same code runs natively, against a fake node.
//! ocf_agent::fake::Node::new().install();
//! let web = Web::read();
//! assert_eq!(web.monitor(), Ok(Health::NotRunning));
//! web.start().unwrap();
//! assert_eq!(web.monitor(), Ok(Health::Running));
//! ```
//!
//! A crate of type `cdylib`, built for `wasm32-wasip2`, is the plugin.
//!
//! # Without the standard library
//!
//! A plugin that needs nothing but `core` and `alloc` is a third as large, and each of its actions is faster: the host
//! checks and maps all of a plugin's code each time. It says so in two places, and imports what the standard library
//! would have brought:
//!
//! ```toml
//! [dependencies]
//! ocf-agent = { version = "0.1", default-features = false }
//! ```
//! ```text
//! #![cfg_attr(not(test), no_std)]
//! use ocf_agent::prelude::*;
//! ```
//!
//! This crate then brings the allocator, and turns a panic's message into the exit reason.
#![cfg_attr(all(target_family = "wasm", not(feature = "std")), no_std)]
extern crate alloc;
extern crate self as ocf_agent;

#[doc(hidden)]
pub mod bindings;
#[cfg(not(target_family = "wasm"))]
mod canonical;
pub mod clock;
pub mod endpoint;
mod error;
#[cfg(not(target_family = "wasm"))]
pub mod fake;
mod host;
pub mod instance;
pub mod log;
mod parameter;
pub mod path;
pub mod program;
#[cfg(all(target_family = "wasm", not(feature = "std")))]
mod runtime;
pub mod state;

pub use bindings::agent::ocf::agent::types::{ExitStatus, Health, Slot};
pub use error::{
    Cause, Error, Failure, FailureKind, Outcome, arguments, configuration, fail, not_installed, permission,
    unimplemented,
};
pub use ocf_agent_macros::{Choice, Parameters, labels};
pub use parameter::{Choice, Parameter, Parameters, Port, Size};
#[doc(hidden)]
pub use parameter::{Declared, generated};
pub use program::slot;

/// What the standard library's prelude has beyond `core`'s, for plugins without it.
///
/// ```
/// use ocf_agent::prelude::*;
/// let words: Vec<String> = vec![format!("{}", 1), "two".to_owned()];
/// assert_eq!(words.join(" "), "1 two");
/// ```
pub mod prelude {
    pub use alloc::borrow::ToOwned;
    pub use alloc::boxed::Box;
    pub use alloc::string::{String, ToString};
    pub use alloc::vec::Vec;
    pub use alloc::{format, vec};
}

/// The kinds of labels that [`labels!`] makes.
pub mod label {
    pub use crate::endpoint::Endpoint;
    pub use crate::path::Path;
    pub use crate::program::Program;
}

/// What every agent does.
///
/// The host calls `monitor` before and after: `start` is called only for something that does not run, `stop` always.
/// Each function does one thing, and returns when it is on its way. See the example of the [crate].
pub trait Agent: Parameters {
    /// Whether the parameters make sense: by themselves, or at [`instance::check_level`] 10 on this node. Their presence
    /// and types were checked before. Changes nothing. Only `validate-all` calls it: what must hold in `start` is to be
    /// checked there too.
    fn validate(&self) -> Outcome {
        Ok(())
    }
    /// Begins to provide the resource.
    fn start(&self) -> Outcome;
    /// Ends it. Calling it for something half started or half stopped must work.
    fn stop(&self) -> Outcome;
    /// How it is, as thoroughly as [`instance::check_level`] says. Changes nothing. Where no answer can be had, that
    /// is a failure, never [`Health::NotRunning`].
    fn monitor(&self) -> Outcome<Health>;
}

/// Promotable clones: one copy leads. Exported by `agent!(Db: role)`.
///
/// ```
/// use ocf_agent::{Agent, Health, Outcome, Parameters, Role, agent, state};
///
/// /// Only remembers its role.
/// #[derive(Parameters)]
/// #[agent(name = "example/stateful", promote = "10s", demote = "10s")]
/// struct Stateful {}
/// agent!(Stateful: role);
///
/// impl Agent for Stateful {
///     fn start(&self) -> Outcome {
///         Ok(state::set_text("role", "unpromoted")?)
///     }
///     fn stop(&self) -> Outcome {
///         Ok(state::delete("role")?)
///     }
///     fn monitor(&self) -> Outcome<Health> {
///         Ok(match state::get_text("role")?.as_deref() {
///             None => Health::NotRunning,
///             Some("promoted") => Health::Promoted,
///             Some(_) => Health::Running,
///         })
///     }
/// }
/// impl Role for Stateful {
///     fn promote(&self) -> Outcome {
///         Ok(state::set_text("role", "promoted")?)
///     }
///     fn demote(&self) -> Outcome {
///         Ok(state::set_text("role", "unpromoted")?)
///     }
/// }
/// # ocf_agent::fake::Node::new().install();
/// # Stateful {}.promote().unwrap();
/// # assert_eq!(Stateful {}.monitor(), Ok(Health::Promoted));
/// ```
pub trait Role: Parameters {
    /// Takes the promoted role.
    fn promote(&self) -> Outcome;
    /// Gives it back and keeps running.
    fn demote(&self) -> Outcome;
}

/// Clones that want to know about their other copies. Exported by `agent!(Db: notification)`.
///
/// ```
/// use ocf_agent::{Agent, Health, Notification, Outcome, Parameters, agent, instance, log};
/// # /// Agent
/// # #[derive(Parameters)]
/// # #[agent(name = "example/db")]
/// # struct Db {}
/// # impl Agent for Db {
/// #     fn start(&self) -> Outcome { Ok(()) }
/// #     fn stop(&self) -> Outcome { Ok(()) }
/// #     fn monitor(&self) -> Outcome<Health> { Ok(Health::NotRunning) }
/// # }
/// agent!(Db: notification);
/// impl Notification for Db {
///     fn notify(&self) -> Outcome {
///         if let Some(notice) = instance::notification() {
///             log::info(format!("{} copies are promoted", notice.promoted.len()));
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Notification: Parameters {
    /// Takes note of [`instance::notification`]. A failure is logged and changes nothing.
    fn notify(&self) -> Outcome;
}

/// Resources that move to another node without being stopped. Exported by `agent!(Db: migration)`.
///
/// ```
/// use ocf_agent::{Agent, Health, Migration, Outcome, Parameters, agent, labels};
/// # /// Agent
/// # #[derive(Parameters)]
/// # #[agent(name = "example/machine")]
/// # struct Machine {}
/// # impl Agent for Machine {
/// #     fn start(&self) -> Outcome { Ok(()) }
/// #     fn stop(&self) -> Outcome { Ok(()) }
/// #     fn monitor(&self) -> Outcome<Health> { Ok(Health::NotRunning) }
/// # }
/// labels! {
///     /// sends the machine's memory to the other node
///     Program SEND = "send";
/// }
/// agent!(Machine: migration);
/// impl Migration for Machine {
///     fn migrate_to(&self) -> Outcome {
///         let sent = SEND.run()?;
///         if sent.succeeded() { Ok(()) } else { ocf_agent::fail(sent.last_line()) }
///     }
///     fn migrate_from(&self) -> Outcome {
///         Ok(())
///     }
/// }
/// ```
pub trait Migration: Parameters {
    /// On the source: sends it to the target. [`instance::migration`] names both.
    fn migrate_to(&self) -> Outcome;
    /// On the target: makes sure that it has arrived.
    fn migrate_from(&self) -> Outcome;
}

/// Agents that take changed parameters without a restart: those that are marked `reloadable`. Exported by
/// `agent!(Web: reload)`; the one without the other does not compile.
///
/// ```
/// use ocf_agent::program::SignalName;
/// use ocf_agent::{Agent, Health, Outcome, Parameters, Reload, agent, labels};
/// # labels! { /** x */ Program DAEMON = "daemon"; }
/// # impl Agent for Web {
/// #     fn start(&self) -> Outcome { Ok(()) }
/// #     fn stop(&self) -> Outcome { Ok(()) }
/// #     fn monitor(&self) -> Outcome<Health> { Ok(Health::NotRunning) }
/// # }
/// /// Runs a web server.
/// #[derive(Parameters)]
/// #[agent(name = "example/web")]
/// struct Web {
///     /// Greeting
///     #[parameter(default = "Hello!", reloadable)]
///     greeting: String,
/// }
/// agent!(Web: reload);
/// impl Reload for Web {
///     fn reload(&self) -> Outcome {
///         DAEMON.signal(SignalName::Hup)?;
///         Ok(())
///     }
/// }
/// ```
/// ```compile_fail
/// # use ocf_agent::{Agent, Health, Outcome, Parameters, agent};
/// # impl Agent for Web {
/// #     fn start(&self) -> Outcome { Ok(()) }
/// #     fn stop(&self) -> Outcome { Ok(()) }
/// #     fn monitor(&self) -> Outcome<Health> { Ok(Health::NotRunning) }
/// # }
/// /// Runs a web server.
/// #[derive(Parameters)]
/// #[agent(name = "example/web")]
/// struct Web {
///     /// Greeting
///     #[parameter(default = "Hello!", reloadable)]
///     greeting: String,
/// }
/// agent!(Web); // greeting is reloadable, but who reloads?
/// ```
pub trait Reload: Parameters {
    /// Applies the parameters as they are now.
    fn reload(&self) -> Outcome;
}

/// Names the agent of this component and what it can do beside the lifecycle: any of `role`, `notification`,
/// `migration`, `reload`. What is not listed is not exported.
///
/// ```
/// use ocf_agent::{Agent, Health, Outcome, Parameters, agent};
///
/// /// Is never there.
/// #[derive(Parameters)]
/// #[agent(name = "example/nothing")]
/// struct Nothing {}
/// agent!(Nothing);
///
/// impl Agent for Nothing {
///     fn start(&self) -> Outcome {
///         ocf_agent::unimplemented("there is nothing to start")
///     }
///     fn stop(&self) -> Outcome {
///         Ok(())
///     }
///     fn monitor(&self) -> Outcome<Health> {
///         Ok(Health::NotRunning)
///     }
/// }
/// ```
/// What is listed is implemented:
/// ```compile_fail
/// # use ocf_agent::{Agent, Health, Outcome, Parameters, agent};
/// # /// Agent
/// # #[derive(Parameters)]
/// # #[agent(name = "example/db")]
/// # struct Db {}
/// # impl Agent for Db {
/// #     fn start(&self) -> Outcome { Ok(()) }
/// #     fn stop(&self) -> Outcome { Ok(()) }
/// #     fn monitor(&self) -> Outcome<Health> { Ok(Health::NotRunning) }
/// # }
/// agent!(Db: role);
/// ```
#[macro_export]
macro_rules! agent {
    ($Agent:ident $(: $($more:ident),+ $(,)?)?) => {
        const _: () = {
            #[doc(hidden)]
            pub struct Exports;
            $crate::__export! { $Agent Exports lifecycle Agent agent export_lifecycle {
                validate: (), start: (), stop: (), monitor: $crate::Health
            } }
            $($($crate::__more! { $more $Agent Exports })+)?
            #[cfg(not(target_family = "wasm"))]
            impl $crate::fake::Exported for $Agent {
                fn call(&self, export: &str) -> Option<$crate::Outcome<Option<$crate::Health>>> {
                    let agent = self;
                    $crate::__call!(lifecycle agent export)$($(.or_else(|| $crate::__call!($more agent export)))+)?
                }
            }
            ::core::assert!(
                !$crate::generated::any_reloadable(<$Agent as $crate::Parameters>::DECLARED)
                    || $crate::generated::contains(&[$($(::core::stringify!($more)),+)?], "reload"),
                "a parameter is marked reloadable: implement Reload and list it, agent!(Name: reload)",
            );
            ::core::assert!(
                $crate::generated::any_reloadable(<$Agent as $crate::Parameters>::DECLARED)
                    || !$crate::generated::contains(&[$($(::core::stringify!($more)),+)?], "reload"),
                "reload is listed, but no parameter is marked #[parameter(reloadable)]",
            );
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __more {
    (role $Agent:ident $Exports:ident) => {
        $crate::__export! { $Agent $Exports role Role with_role export_role { promote: (), demote: () } }
    };
    (notification $Agent:ident $Exports:ident) => {
        $crate::__export! { $Agent $Exports notification Notification with_notification export_notification {
            notify: ()
        } }
    };
    (migration $Agent:ident $Exports:ident) => {
        $crate::__export! { $Agent $Exports migration Migration with_migration export_migration {
            migrate_to: (), migrate_from: ()
        } }
    };
    (reload $Agent:ident $Exports:ident) => {
        $crate::__export! { $Agent $Exports reload Reload with_reload export_reload { reload: () } }
    };
    ($other:ident $Agent:ident $Exports:ident) => {
        ::core::compile_error!(::core::concat!(
            "no export `",
            ::core::stringify!($other),
            "`: there are role, notification, migration and reload"
        ));
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($Agent:ident $Exports:ident $interface:ident $Trait:ident $world:ident $export:ident {
        $($function:ident: $Value:ty),+
    }) => {
        impl $crate::bindings::$world::exports::ocf::agent::$interface::Guest for $Exports {
            $(fn $function() -> $crate::Outcome<$Value> {
                <$Agent as $crate::$Trait>::$function(&<$Agent as $crate::Parameters>::read())
            })+
        }
        #[cfg(target_family = "wasm")]
        $crate::bindings::$world::$export!($Exports with_types_in $crate::bindings::$world);
    };
}
