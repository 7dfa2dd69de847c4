//! Calls and answers as recordings show them. Only in the tool: the agent links no JSON.

use ocf_agent_recording::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::endpoint::HttpResponse;
use super::{Answer, Call, Piece, Sent, wire};

impl Call {
    /// Returns the name of the function as the WIT spells it, `interface.function`, and its arguments by name.
    pub fn shown(&self) -> (String, Value) {
        let whole = ocf_agent_recording::shown(self);
        let with = whole.as_object().and_then(|variant| variant.values().next()).cloned();
        (ocf_agent_recording::kebab(self.name()), with.unwrap_or_default())
    }

    /// Whether it belongs to the call before: the plugin asked once.
    pub fn goes_on(&self) -> bool {
        matches!(self, Self::WebReceive {} | Self::WebEnd { .. })
    }
}

pub(super) fn shown<T: Serialize + DeserializeOwned>(answer: &[u8]) -> Option<Value> {
    wire::decode::<Answer<T>>(answer).map(|answer| ocf_agent_recording::shown(&answer))
}

pub(super) fn read<T: Serialize + DeserializeOwned>(answer: &Value) -> Result<Vec<u8>, String> {
    let answer: Answer<T> = ocf_agent_recording::read(answer).map_err(|error| error.to_string())?;
    Ok(wire::encode(&answer))
}

/// What a plugin is told of a web address, as far as one of the two halves of `endpoint.http` says it.
pub(super) fn told(call: &Call, answer: &[u8]) -> Option<Value> {
    let told: Answer<HttpResponse> = match call {
        Call::WebSend { .. } => match wire::decode(answer)? {
            Ok(Sent::Waiting) => return None,
            Ok(Sent::Known(response)) => Ok(response),
            Err(error) => Err(error),
        },
        Call::WebReceive {} => Err(wire::decode::<Answer<Piece>>(answer)?.err()?),
        Call::WebEnd { response } => wire::decode::<Answer<()>>(answer)?.map(|()| response.clone()),
        _ => return None,
    };
    Some(ocf_agent_recording::shown(&told))
}

/// What answers a whole request at once.
pub(super) fn known(answer: &Value) -> Result<Vec<u8>, String> {
    let answer: Answer<HttpResponse> = ocf_agent_recording::read(answer).map_err(|error| error.to_string())?;
    Ok(wire::encode(&answer.map(Sent::Known)))
}
