//! Digests: `sha256:` and 64 lower-case hexadecimal digits.

use sha2::{Digest as _, Sha256};

/// The digest of a component or of a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Digest(String);

impl Digest {
    /// Computes it.
    pub fn of(bytes: &[u8]) -> Self {
        let hash = Sha256::digest(bytes);
        Self(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Reads it strictly. A digest becomes a file name, so nothing else may pass.
    pub fn parse(text: &str) -> Option<Self> {
        is_digest(text).then(|| Self(text["sha256:".len()..].to_owned()))
    }

    /// The hexadecimal digits.
    pub fn hex(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

/// Whether a text is a digest as [`Digest`] prints it.
pub fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_only_what_it_prints() {
        let digest = Digest::of(b"");
        assert_eq!(digest.to_string(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest.clone()));
        for bad in
            ["", "sha256:", "sha512:00", &digest.to_string().to_uppercase(), &format!("sha256:{}", "../".repeat(22))]
        {
            assert_eq!(Digest::parse(bad), None, "{bad}");
        }
    }
}
