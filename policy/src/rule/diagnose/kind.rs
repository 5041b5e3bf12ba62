//! The closed list of what can be wrong.

/// Declares the closed list of kinds with their code words.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What can be wrong with a rule set. The list is closed, and each has a golden report.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DiagnosticKind { $($(#[$doc])* $name,)* }

        impl DiagnosticKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code word: stable, for scripts and for searching the reference.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

kinds! {
    /// A file above the size limit.
    TooLarge = "too-large",
    /// Nesting, aliases or nodes beyond the bounds.
    TooComplex = "too-complex",
    /// Not YAML.
    YamlSyntax = "yaml-syntax",
    /// A tab in the indentation.
    TabIndentation = "tab-indentation",
    /// A key twice in one map.
    DuplicateKey = "duplicate-key",
    /// A file without a document (a warning).
    EmptyFile = "empty-file",
    /// No document in any file.
    EmptySet = "empty-set",
    /// A set without a budget (a warning): nothing is watched.
    NoBudget = "no-budget",
    /// `apiVersion` missing or another.
    ApiVersion = "api-version",
    /// A kind that there is not.
    UnknownKind = "unknown-kind",
    /// A key that there is not.
    UnknownKey = "unknown-key",
    /// A key or value of the language that this version does not have.
    Unsupported = "unsupported",
    /// A key that must be there.
    MissingKey = "missing-key",
    /// A list where a map belongs, text where a number belongs, and so on.
    WrongType = "wrong-type",
    /// Nothing where a value belongs.
    EmptyValue = "empty-value",
    /// Two keys that exclude each other.
    Conflict = "conflict",
    /// `metadata.name` that cannot be a name.
    BadName = "bad-name",
    /// The same kind and name twice.
    DuplicateName = "duplicate-name",
    /// A number out of its range.
    OutOfRange = "out-of-range",
    /// A budget without a limit.
    MissingLimit = "missing-limit",
    /// A number without its unit.
    MissingUnit = "missing-unit",
    /// A unit that is not the expected one, such as another currency.
    WrongUnit = "wrong-unit",
    /// A negative amount.
    Negative = "negative",
    /// Text that is no amount.
    BadAmount = "bad-amount",
    /// A limit of nothing.
    ZeroLimit = "zero-limit",
    /// A share that cannot be read.
    BadPercent = "bad-percent",
    /// `warnAt` that does not rise.
    WarnOrder = "warn-order",
    /// `warnAt` at or above `tripAt`.
    WarnAboveTrip = "warn-above-trip",
    /// A selector without a condition.
    EmptySelector = "empty-selector",
    /// A target selector without a condition.
    EmptyTarget = "empty-target",
    /// An expression that cannot be read, or says what is not taken.
    BadWhen = "bad-when",
    /// An expression that compares what cannot be compared, or whose answer is not true or false.
    WhenType = "when-type",
    /// An expression that needs a field without asking for it (a warning).
    WhenUnasked = "when-unasked",
    /// A kind of charge that there is not.
    UnknownCharge = "unknown-charge",
    /// An override on a field that does not tell the budget's breakers apart.
    OverrideField = "override-field",
    /// `${…}` that cannot be read, or stands where none is expanded.
    BadTemplate = "bad-template",
    /// `${field}` where the field is not in `perEach`.
    TemplateField = "template-field",
    /// A field that nothing sets.
    UnknownField = "unknown-field",
    /// A bare field that is no known field, taken as a namespace label (a warning).
    UndeclaredField = "undeclared-field",
    /// `within` names no budget.
    UnknownBudget = "unknown-budget",
    /// Budgets within each other in a circle.
    WithinCycle = "within-cycle",
    /// A route that there is not.
    UnknownRoute = "unknown-route",
    /// An act that there is not.
    UnknownAct = "unknown-act",
    /// A window in none of the three forms, or in several.
    BadWindow = "bad-window",
    /// A calendar unit that there is not.
    UnknownUnit = "unknown-unit",
    /// A time zone that there is not.
    UnknownTimezone = "unknown-timezone",
    /// A length of time that cannot be read.
    BadSpan = "bad-span",
    /// A time or date that cannot be read.
    BadTime = "bad-time",
    /// A word that is none of those that may stand there.
    UnknownWord = "unknown-word",
    /// A mode that there is not.
    UnknownMode = "unknown-mode",
    /// It says when to give back, but that never comes (a warning).
    NeverRestores = "never-restores",
    /// `mode: enforce` without anything to stop (a warning).
    NothingToEnforce = "nothing-to-enforce",
    /// One breaker stops the targets of all (a warning).
    SharedTarget = "shared-target",
    /// A target that is protected (a warning).
    ProtectedTarget = "protected-target",
    /// Budgets that stop the same and wait differently (a warning).
    Fighting = "fighting",
    /// A selector that no charge can meet (a warning).
    SelectsNothing = "selects-nothing",
    /// A condition that every charge meets (a warning).
    SelectsAll = "selects-all",
    /// An amount or a time that is hardly meant (a warning).
    Implausible = "implausible",
    /// A secret in a rule file.
    InlineSecret = "inline-secret",
    /// Not an http(s) URL.
    BadUrl = "bad-url",
    /// A route that reaches nobody.
    NoReceiver = "no-receiver",
    /// A glob that cannot match what it is for.
    BadGlob = "bad-glob",
    /// A principal pattern that is ambiguous or cannot match.
    BadPrincipal = "bad-principal",
    /// Text that names no object.
    BadObject = "bad-object",
    /// A blast-radius cap that cannot be read.
    BadCap = "bad-cap",
    /// A cap that refuses whatever it is asked (a warning).
    CapRefuses = "cap-refuses",
    /// Freeze windows without a gap (a warning).
    AlwaysFrozen = "always-frozen",
    /// A group of approvers that there is not.
    UnknownGroup = "unknown-group",
    /// Text that names no actor.
    BadActor = "bad-actor",
    /// Nobody's yes would count.
    NoApprover = "no-approver",
    /// A price that is not believable, or names no model.
    PriceRefused = "price-refused",
    /// Acts that are not in the order in which they are done.
    ActOrder = "act-order",
    /// A price file that there is not.
    UnknownFile = "unknown-file",
    /// A price file that no PriceBook names (a warning).
    UnusedFile = "unused-file",
    /// A source that no document is about (a warning).
    UndeclaredSource = "undeclared-source",
    /// A multiple that cannot be read.
    BadMultiple = "bad-multiple",
    /// A forecast that should trip.
    ForecastTrips = "forecast-trips",
    /// `waves` that cannot be read.
    BadWaves = "bad-waves",
    /// `onStale: trip` without the one source that it is about.
    SilenceOfWhom = "silence-of-whom",
}
