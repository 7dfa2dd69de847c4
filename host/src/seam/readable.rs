//! Calls and answers as recordings show them. Only in the tool: the agent links no JSON.

use ocf_agent_recording::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Answer, Call, wire};

impl Call {
    /// Returns the name of the function as the WIT spells it, `interface.function`, and its arguments by name.
    pub fn shown(&self) -> (String, Value) {
        let whole = ocf_agent_recording::shown(self);
        let with = whole.as_object().and_then(|variant| variant.values().next()).cloned();
        (ocf_agent_recording::kebab(self.name()), with.unwrap_or_default())
    }
}

pub(super) fn shown<T: Serialize + DeserializeOwned>(answer: &[u8]) -> Option<Value> {
    wire::decode::<Answer<T>>(answer).map(|answer| ocf_agent_recording::shown(&answer))
}

pub(super) fn read<T: Serialize + DeserializeOwned>(answer: &Value) -> Result<Vec<u8>, String> {
    let answer: Answer<T> = ocf_agent_recording::read(answer).map_err(|error| error.to_string())?;
    Ok(wire::encode(&answer))
}
