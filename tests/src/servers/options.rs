//! What a test may choose: whose rights, and which KEDA.

/// Whose token a client carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The test itself: may do all.
    Admin,
    /// The daemon, with the rights of `tests/servers/breakerbox-rbac.yaml` and no others.
    Breakerbox,
    /// Somebody else who may do all, for edits that the audit log tells from the test's own.
    Person,
    /// A user without any right, for answers of 403.
    Nobody,
}

impl Role {
    pub(super) const ALL: [Self; 4] = [Self::Admin, Self::Breakerbox, Self::Person, Self::Nobody];

    /// The user's name, as the audit log has it.
    #[must_use]
    pub const fn user(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Breakerbox => "breakerbox",
            Self::Person => "person",
            Self::Nobody => "nobody",
        }
    }

    pub(super) const fn groups(self) -> &'static str {
        match self {
            Self::Admin | Self::Person => "system:masters",
            Self::Breakerbox | Self::Nobody => "",
        }
    }
}

/// Which KEDA operator a cluster runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KedaVersion {
    /// 2.21.0: the reconciler scales, a pause is proven within about 150 ms.
    V2_21,
    /// 2.16.1: the scale loop scales, racy, up to a polling interval late. Only after
    /// `tests/servers/install --all`.
    V2_16,
}

impl KedaVersion {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::V2_21 => "2.21.0",
            Self::V2_16 => "2.16.1",
        }
    }

    /// Names of the operator's binary and of the folder with its CRDs.
    pub(super) const fn files(self) -> (&'static str, &'static str) {
        match self {
            Self::V2_21 => ("keda-operator", "keda-crds"),
            Self::V2_16 => ("keda-operator-2.16", "keda-crds-2.16"),
        }
    }
}
