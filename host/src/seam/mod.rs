//! The one seam between the two processes: what crosses it, and nothing that does anything.
//!
//! The runner turns each import of a plugin into one [`Call`], sends it, and waits for the answer; the broker turns
//! it back into a call of the same trait, generated from the WIT. One line a function in the table below: a line that
//! does not fit the WIT does not compile. What begins with `@` the runner does itself, and asks for less: see [`Web`].
//! Both ends are one build, so the encoding needs no versions; what is written down for people (traces, recordings) goes
//! by name.
//!
//! What must never enter here: policy, effects, an engine.

#[cfg(feature = "tool")]
mod readable;
mod web;
mod wire;

pub use web::{Piece, Sent, Web, unanswered};
pub use wire::{Channel, Lost, MESSAGE_BYTES, decode, encode};

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

/// Traits and types generated from `wit/`.
#[allow(missing_docs, clippy::pedantic, unreachable_pub, reason = "generated from the WIT, where the words stand")]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "everything",
        imports: { "ocf:agent/instance.parameter": trappable },
        additional_derives: [serde::Serialize, serde::Deserialize, PartialEq],
    });
}

pub use bindings::ocf::agent::{clock, endpoint, instance, log, path, program, state, types};
pub use types::{Error, ExitStatus, Failure, FailureKind, Health, Slot};

/// What a host call answers.
pub type Answer<T> = Result<T, Error>;

macro_rules! seam {
    ($( $interface:ident {
        $( $Call:ident = $function:ident($($argument:ident: $Argument:ty),*) -> $Answer:ty; )*
        $( @$own:ident($($passed:ident: $Passed:ty),*) -> $Own:ty; )*
    } )*) => {
        /// A question of the plugin.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "one variant a function of the WIT, where the words stand")]
        pub enum Call {
            $( $( $Call { $($argument: $Argument),* }, )* )*
            /// See [`Web`].
            WebSend { label: String, slots: Vec<Slot>, request: endpoint::HttpRequest },
            /// See [`Web`].
            WebReceive {},
            /// See [`Web`].
            WebEnd { response: endpoint::HttpResponse },
        }

        impl Call {
            /// Returns the name of the function, as `interface.function`.
            pub fn name(&self) -> &'static str {
                match self { $( $( Self::$Call { .. } => concat!(stringify!($interface), ".", stringify!($function)), )* )*
                    Self::WebSend { .. } => "endpoint.http",
                    Self::WebReceive { .. } => "endpoint.http (more)",
                    Self::WebEnd { .. } => "endpoint.http (end)",
                }
            }
        }

        impl Call {
            /// Returns what did not come to an end: the function, and of which label where the node decides how long it takes.
            pub fn waited(&self) -> String {
                match self {
                    Self::PathStat { label, .. }
                    | Self::PathRead { label, .. }
                    | Self::PathWrite { label, .. }
                    | Self::PathRemove { label, .. }
                    | Self::PathList { label, .. }
                    | Self::PathMakeDirectory { label, .. }
                    | Self::ProgramAvailable { label, .. }
                    | Self::ProgramRun { label, .. }
                    | Self::ProgramStart { label, .. } => format!("{} of {label}", self.name()),
                    _ => self.name().to_owned(),
                }
            }
        }

        /// The same for people and for files: names and values as the WIT spells them.
        #[cfg(feature = "tool")]
        impl Call {
            /// Returns what the plugin is told, as JSON; none if that is not said by this answer to this call.
            pub fn answer_shown(&self, answer: &[u8]) -> Option<ocf_agent_recording::Value> {
                match self { $( $( Self::$Call { .. } => readable::shown::<$Answer>(answer), )* )*
                    Self::WebSend { .. } | Self::WebReceive {} | Self::WebEnd { .. } => readable::told(self, answer),
                }
            }

            /// Returns the answer to this call that a file holds, as it crosses the seam.
            ///
            /// # Errors
            /// What does not fit the type.
            pub fn answer_read(&self, answer: &ocf_agent_recording::Value) -> Result<Vec<u8>, String> {
                match self { $( $( Self::$Call { .. } => readable::read::<$Answer>(answer), )* )*
                    Self::WebSend { .. } | Self::WebReceive {} | Self::WebEnd { .. } => readable::known(answer),
                }
            }
        }

        /// Answers one call through the traits that the broker implements. `answered` sees the answer before it is encoded.
        pub fn dispatch<B>(broker: &mut B, call: Call, answered: &mut dyn FnMut(&dyn Debug, Option<&Error>)) -> Vec<u8>
        where
            B: $( $interface::Host + )* Web
        {
            match call {
                $( $( Call::$Call { $($argument),* } => {
                    let answer: Answer<$Answer> = $interface::Host::$function(broker, $($argument),*);
                    answered(&answer, answer.as_ref().err());
                    wire::encode(&answer)
                } )* )*
                Call::WebSend { label, slots, request } => {
                    let answer = broker.web_send(label, slots, request);
                    answered(&answer, answer.as_ref().err());
                    wire::encode(&answer)
                }
                Call::WebReceive {} => {
                    let answer = broker.web_receive();
                    answered(&answer, answer.as_ref().err());
                    wire::encode(&answer)
                }
                Call::WebEnd { response } => {
                    let answer = broker.web_end(response);
                    answered(&answer, answer.as_ref().err());
                    wire::encode(&answer)
                }
            }
        }

        $(
            impl $interface::Host for crate::runner::Imports {
                $( fn $function(&mut self, $($argument: $Argument),*) -> Answer<$Answer> {
                    self.ask(Call::$Call { $($argument),* })
                } )*
                $( fn $own(&mut self, $($passed: $Passed),*) -> Answer<$Own> {
                    crate::runner::Imports::$own(self, $($passed),*)
                } )*
            }
        )*
    };
}

seam! {
    state {
        StateGet = get(key: String) -> Option<Vec<u8>>;
        StateSet = set(key: String, value: Vec<u8>) -> ();
        StateDelete = delete(key: String) -> ();
        StateKeys = keys() -> Vec<String>;
    }
    program {
        ProgramAvailable = available(label: String, slots: Vec<Slot>) -> bool;
        ProgramRun = run(label: String, slots: Vec<Slot>, input: Option<Vec<u8>>) -> program::Output;
        ProgramStart = start(label: String, slots: Vec<Slot>) -> bool;
        ProgramStatus = status(label: String) -> program::Condition;
        ProgramStop = stop(label: String) -> ();
        ProgramSignal = signal(label: String, signal: program::SignalName) -> bool;
    }
    path {
        PathStat = stat(label: String, name: String) -> Option<path::Facts>;
        PathRead = read(label: String, name: String, offset: u64, limit: u32) -> Option<Vec<u8>>;
        PathWrite = write(label: String, name: String, content: Vec<u8>, mode: u16) -> ();
        PathRemove = remove(label: String, name: String) -> bool;
        PathList = list(label: String, name: String) -> Option<Vec<path::Entry>>;
        PathMakeDirectory = make_directory(label: String, name: String, mode: u16) -> bool;
    }
    endpoint {
        EndpointConnect = connect(label: String, slots: Vec<Slot>) -> endpoint::Reach;
        EndpointExchange = exchange(label: String, slots: Vec<Slot>, send: Vec<u8>, until: endpoint::Until) -> endpoint::Reply;
        EndpointListening = listening(label: String, slots: Vec<Slot>) -> bool;
        @http(label: String, slots: Vec<Slot>, request: endpoint::HttpRequest) -> endpoint::HttpResponse;
    }
}

/// An export of the plugin, as the host calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the actions of the WIT, where the words stand")]
pub enum Export {
    Validate { level: u8 },
    Start,
    Stop,
    Monitor { probe: bool, level: u8 },
    Promote,
    Demote,
    Notify,
    MigrateTo,
    MigrateFrom,
    Reload,
}

impl Export {
    /// Returns the word for reasons and traces.
    pub fn word(self) -> &'static str {
        match self {
            Self::Validate { .. } => "validate",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Monitor { .. } => "monitor",
            Self::Promote => "promote",
            Self::Demote => "demote",
            Self::Notify => "notify",
            Self::MigrateTo => "migrate-to",
            Self::MigrateFrom => "migrate-from",
            Self::Reload => "reload",
        }
    }
}

/// What the runner says.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromRunner {
    /// The plugin asks; an answer is awaited.
    Call(Call),
    /// The plugin logs; no answer.
    Log(log::Level, String),
    /// The export returned. Only monitor returns a health.
    Done(Result<Option<Health>, Failure>),
    /// The component does not fit this host; what was to be called did not run.
    Unfit(String),
    /// The plugin trapped, or returned what it may not.
    Broken(String),
    /// The runner itself failed.
    Panicked(String),
}
