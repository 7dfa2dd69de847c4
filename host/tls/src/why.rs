//! What is wrong with a server's TLS, in an administrator's words: short enough for an exit reason, cause first.

use rustls::AlertDescription as Alert;
use rustls::pki_types::UnixTime;
use rustls::{CertificateError, Error, PeerIncompatible};

/// Bytes of a name that are shown.
const NAME_BYTES: usize = 24;

/// What comes over the connection makes no sense.
pub(super) const BROKEN: &str = "what it sends is no TLS: does it speak https on this port?";

/// Says why a server is not talked to. `server` is whom the certificate must be for; `wants_ours`, whether it has asked for
/// one of who asks.
pub(super) fn told(error: &Error, server: &str, wants_ours: bool) -> String {
    match error {
        Error::AlertReceived(_) if wants_ours => OURS.to_owned(),
        Error::InvalidCertificate(wrong) => certificate(wrong, server),
        Error::NoCertificatesPresented => "it shows no certificate".to_owned(),
        Error::AlertReceived(alert) => refusal(*alert),
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => OLD.to_owned(),
        Error::PeerIncompatible(_) => NOTHING_COMMON.to_owned(),
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            BROKEN.to_owned()
        }
        Error::DecryptError | Error::PeerSentOversizedRecord | Error::PeerMisbehaved(_) => {
            "it does not keep to the rules of TLS, or somebody on the way does not".to_owned()
        }
        Error::FailedToGetCurrentTime => "this node has no time to check a certificate by".to_owned(),
        Error::FailedToGetRandomBytes => "this node has no random numbers for TLS".to_owned(),
        _ => "TLS fails".to_owned(),
    }
}

const OLD: &str = "it offers neither TLS 1.2 nor 1.3";
const OURS: &str = "it wants a certificate of who asks, and there is none";
const NOTHING_COMMON: &str = "it offers no way to encrypt that counts as safe";

fn certificate(wrong: &CertificateError, server: &str) -> String {
    use CertificateError as C;
    match wrong {
        C::ExpiredContext { not_after, .. } => format!("its certificate expired on {}", date(*not_after)),
        C::Expired => "its certificate is valid at no time".to_owned(),
        C::NotValidYetContext { not_before, .. } => {
            format!("its certificate is valid from {} on: is the clock of this node right?", date(*not_before))
        }
        C::UnknownIssuer => "its certificate is issued by nobody in `ca`".to_owned(),
        C::NotValidForNameContext { presented, .. } => {
            let own = shown(server);
            match presented.iter().find_map(|name| presented_name(name)) {
                Some(other) if presented.len() > 1 => {
                    format!("its certificate is for {other} and {} more, not for {own}", presented.len() - 1)
                }
                Some(other) => format!("its certificate is for {other}, not for {own}"),
                None => format!("its certificate names nobody it is for, not {own} either"),
            }
        }
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => "its certificate is not one for servers".to_owned(),
        C::BadSignature => "its certificate was not signed by whom it names".to_owned(),
        C::UnsupportedSignatureAlgorithmContext { .. } | C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "its certificate is signed in a way that does not count as safe".to_owned()
        }
        C::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is that of an authority, which is not for servers".to_owned()
        }
        _ => "its certificate cannot be used".to_owned(),
    }
}

/// What a server answers that does not want to go on.
fn refusal(alert: Alert) -> String {
    match alert {
        Alert::ProtocolVersion => OLD.to_owned(),
        Alert::HandshakeFailure | Alert::InsufficientSecurity | Alert::IllegalParameter => NOTHING_COMMON.to_owned(),
        Alert::CertificateRequired | Alert::BadCertificate | Alert::UnknownCA | Alert::AccessDenied => OURS.to_owned(),
        Alert::UnrecognisedName => "it knows no host of that name".to_owned(),
        Alert::NoApplicationProtocol => "it does not speak HTTP/1.1".to_owned(),
        other => format!("it ends TLS with alert {}", u8::from(other)),
    }
}

/// A name that a certificate is for, from how the crate writes it: `DnsName("a.example")`, `IpAddress(10.0.0.1)`.
fn presented_name(text: &str) -> Option<String> {
    let inner = text.strip_prefix("DnsName(").or_else(|| text.strip_prefix("IpAddress("))?;
    Some(shown(inner)).filter(|name| !name.is_empty())
}

/// A name, of what names are made of, and cut: a server can call itself anything.
fn shown(name: &str) -> String {
    let plain = name.chars().filter(|c| c.is_ascii_alphanumeric() || ".-*:_".contains(*c));
    let mut short: String = plain.collect();
    if short.len() > NAME_BYTES {
        short.truncate(NAME_BYTES);
        short.push_str("...");
    }
    short
}

/// A day, in UTC.
fn date(time: UnixTime) -> String {
    // Days since 0000-03-01, a year that begins in March: the day that leap years have more is its last.
    let days = time.as_secs() / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", year + era * 400 + next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::ServerName;
    use std::time::Duration;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, day) in [
            (0, "1970-01-01"),
            (86_399, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_767_225_599, "2025-12-31"),
            (1_767_225_600, "2026-01-01"),
            (4_107_542_400, "2100-03-01"),
            (253_402_300_799, "9999-12-31"),
        ] {
            assert_eq!(date(at(seconds)), day);
        }
    }

    /// What is wrong with a certificate that names these, for this server.
    fn named(presented: &[&str], server: &str) -> String {
        let expected = ServerName::try_from("x").unwrap();
        let presented = presented.iter().map(|name| (*name).to_owned()).collect();
        certificate(&CertificateError::NotValidForNameContext { expected, presented }, server)
    }

    #[test]
    fn a_certificate_of_somebody_else_says_whose_it_is() {
        assert_eq!(
            named(&["DnsName(\"b.example\")"], "a.example"),
            "its certificate is for b.example, not for a.example"
        );
        assert_eq!(
            named(&["IpAddress(10.0.0.1)", "DnsName(\"*.x\")", "DnsName(\"y\")"], "::1"),
            "its certificate is for 10.0.0.1 and 2 more, not for ::1"
        );
        assert_eq!(named(&["DirectoryName"], "a"), "its certificate names nobody it is for, not a either");
        let forged = named(&["DnsName(\"x\nocf-exit-reason:\u{202e}all is well\u{1b}[2J\")"], "a");
        assert_eq!(forged, "its certificate is for xocf-exit-reason:alliswe..., not for a");
    }

    /// OpenSSL says this in TLS 1.2 of a client that has no certificate.
    #[test]
    fn a_handshake_that_fails_after_a_certificate_of_ours_was_asked_for_failed_for_that() {
        let failed = Error::AlertReceived(Alert::HandshakeFailure);
        assert_eq!([told(&failed, "a", false), told(&failed, "a", true)], [NOTHING_COMMON, OURS]);
    }

    #[test]
    fn whatever_a_server_is_called_the_reason_is_whole() {
        let long = "x".repeat(253);
        let prefix = "endpoint page: ".len();
        const REASON_BYTES: usize = 120;
        let all = [
            named(&[&format!("DnsName(\"{long}\")"), "DnsName(\"y\")"], &long),
            certificate(&CertificateError::NotValidYetContext { time: at(0), not_before: at(253_402_300_799) }, &long),
            BROKEN.to_owned(),
            told(&Error::DecryptError, &long, false),
        ];
        for text in all {
            assert!(prefix + text.len() <= REASON_BYTES, "{text}");
        }
    }
}
