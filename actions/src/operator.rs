//! Which KEDA carries out a pause: below 2.12 the HPA is kept and no proof can be had, so nothing is
//! written there (kedacore/keda `CHANGELOG.md`, #3304 and #4253).

use std::fmt;

use serde_json::Value;

/// A KEDA version as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
}

impl Version {
    /// The oldest KEDA whose pause can be proven.
    pub const OLDEST: Self = Self::new(2, 12);
    /// From here on `paused: "false"` means not paused (#5215).
    pub(crate) const HEEDS_FALSE: Self = Self::new(2, 13);

    /// That version.
    #[must_use]
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Reads "2.21.0", "v2.16.1" and "2.20"; `None` for "latest", "main" and the like.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix('v').unwrap_or(text).split(['.', '-', '+']);
        Some(Self { major: parts.next()?.parse().ok()?, minor: parts.next()?.parse().ok()? })
    }

    /// The version that a Deployment of the operator shows: its image's tag, else its label.
    ///
    /// # Errors
    /// Why it shows none, or that nothing runs there, for people.
    pub fn of_deployment(deployment: &Value) -> Result<Self, String> {
        if deployment["spec"]["replicas"].as_i64() == Some(0) {
            return Err("the operator's Deployment is scaled to 0".to_owned());
        }
        let containers = deployment["spec"]["template"]["spec"]["containers"].as_array();
        let image = containers.and_then(|all| all.first()).and_then(|c| c["image"].as_str()).unwrap_or("");
        let label = deployment["metadata"]["labels"]["app.kubernetes.io/version"].as_str().unwrap_or("");
        tag(image).and_then(Self::parse).or_else(|| Self::parse(label)).ok_or_else(|| {
            format!("neither image `{image}` nor label `{label}` of the operator says its version; set keda.version")
        })
    }
}

/// The tag of an image name: what follows the last colon after the last slash, less a digest.
fn tag(image: &str) -> Option<&str> {
    let name = image.split('@').next().unwrap_or(image);
    let last = name.rsplit('/').next().unwrap_or(name);
    last.split_once(':').map(|(_, tag)| tag)
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_version_comes_from_the_tag_and_else_from_the_label() {
        let deployment = |image: &str, label: &str| {
            json!({"metadata": {"labels": {"app.kubernetes.io/version": label}},
                "spec": {"replicas": 1, "template": {"spec": {"containers": [{"image": image}]}}}})
        };
        for (image, label, want) in [
            ("ghcr.io/kedacore/keda:2.21.0", "", Some((2, 21))),
            ("registry:5000/keda/keda:v2.16.1@sha256:00ff", "9.9.9", Some((2, 16))),
            ("registry:5000/keda/keda@sha256:00ff", "2.14.0", Some((2, 14))),
            ("keda:main", "2.18.3", Some((2, 18))),
            ("keda:2.11.2-alpine", "", Some((2, 11))),
            ("registry:5000/keda", "latest", None),
        ] {
            let want = want.map(|(major, minor)| Version::new(major, minor));
            assert_eq!(Version::of_deployment(&deployment(image, label)).ok(), want, "{image} {label}");
        }
        let mut asleep = deployment("keda:2.21.0", "");
        asleep["spec"]["replicas"] = json!(0);
        assert!(Version::of_deployment(&asleep).unwrap_err().contains("scaled to 0"));
    }

    #[test]
    fn versions_are_ordered_by_number_not_by_text() {
        assert!(Version::new(2, 9) < Version::OLDEST);
        assert!(Version::new(2, 12) >= Version::OLDEST);
        assert!(Version::new(3, 0) > Version::new(2, 21));
    }
}
