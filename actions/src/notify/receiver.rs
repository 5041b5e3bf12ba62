//! The name of a receiver: what deliveries are remembered by and what people see in errors.

use policy::rule::Receiver;
use sha2::{Digest, Sha256};
use url::Url;

use super::secret::place;

/// Stable over restarts, reloads and a change of order; holds no secret. The route is part of it, so that
/// two routes to one channel keep their own messages.
pub(crate) fn name(route: &str, receiver: &Receiver) -> String {
    match receiver {
        Receiver::SlackWebhook { url } => format!("{route}: Slack webhook in {}", place(url)),
        Receiver::SlackChat { token, channel } => format!("{route}: Slack {channel} with {}", place(token)),
        Receiver::Webhook { url, .. } => format!("{route}: webhook {}", address(url)),
    }
}

/// The host, and a hash that tells two paths of it apart: a path or query may be a secret.
fn address(url: &str) -> String {
    let hash: String =
        Sha256::digest(url.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let host = Url::parse(url).ok().and_then(|url| {
        let port = url.port().map_or(String::new(), |port| format!(":{port}"));
        url.host_str().map(|host| format!("{host}{port}"))
    });
    format!("{} ({hash})", host.as_deref().unwrap_or("without a host"))
}

#[cfg(test)]
mod tests {
    use policy::rule::SecretRef;

    use super::*;

    #[test]
    fn a_name_tells_receivers_apart_and_shows_no_secret() {
        let secret = || SecretRef::Env("S".into());
        let to = |url: &str| name("oncall", &Receiver::Webhook { url: url.into(), secret: secret() });
        let first = to("https://user:pass@hooks.example:8443/secret-path?token=t");
        assert!(first.starts_with("oncall: webhook hooks.example:8443 ("), "{first}");
        for secret in ["user", "pass", "secret-path", "token"] {
            assert!(!first.contains(secret), "{first}");
        }
        assert_ne!(first, to("https://user:pass@hooks.example:8443/other"));
        let chat = Receiver::SlackChat { token: secret(), channel: "#alerts".into() };
        assert_eq!(name("oncall", &chat), "oncall: Slack #alerts with env S");
        assert_ne!(name("oncall", &chat), name("finops", &chat));
    }
}
