//! The trust rule, row by row.

use policy::attribution::attribute;
use policy::fact::Origin;
use policy::inventory::{Inventory, Namespace};
use policy::rule::{Attribution, Compiled, SourceFile, compile};
use policy::subject::{Subject, Trust, short_principal};

const ROLE: &str =
    "arn:aws:sts::111122223333:assumed-role/team-search-agent/eks-prod-east-researche-0f5b7a52";
const GATEWAY: &str = "arn:aws:sts::111122223333:assumed-role/litellm/session";

/// Attribution rules from the text of their `spec`.
fn rules(spec: &str) -> Attribution {
    let text = format!(
        "apiVersion: breakerbox.dev/v1alpha1\nkind: Attribution\nmetadata: {{name: a}}\nspec:\n{spec}\n"
    );
    let Compiled { rules, .. } =
        compile(&[SourceFile { path: "a.yaml", text: &text }]).unwrap_or_else(|all| panic!("{all}"));
    rules.attribution
}

fn origin(principal: &str, claims: &[(&str, &str, Trust)]) -> Origin {
    Origin {
        provider: "aws.bedrock".into(),
        account: "111122223333".into(),
        region: "us-east-1".into(),
        principal: principal.into(),
        record: Trust::Trusted,
        claims: claims.iter().map(|(n, v, t)| ((*n).into(), (*v).into(), *t)).collect(),
        ..Origin::default()
    }
}

fn cluster() -> Inventory {
    let mut inventory = Inventory::default();
    let labels = [("tenant", "acme"), ("stage", "prod"), ("account", "999999999999"), ("team", "search")];
    let labels = labels.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
    inventory.namespaces.insert("team-search".into(), Namespace { labels });
    inventory
}

fn subject(spec: &str, principal: &str, claims: &[(&str, &str, Trust)]) -> Subject {
    attribute(&rules(spec), &origin(principal, claims), "bedrock-log", "us.anthropic.x", &cluster())
}

const NONE: &str = "  claims: {}";
const SAID: Trust = Trust::Asserted;
const SCOPE: Trust = Trust::Trusted;

#[test]
fn what_the_vendor_recorded_is_trusted() {
    let subject = subject(NONE, ROLE, &[]);
    for (field, value) in [
        ("source", "bedrock-log"),
        ("provider", "aws.bedrock"),
        ("account", "111122223333"),
        ("region", "us-east-1"),
        ("model", "us.anthropic.x"),
        ("principal", "111122223333:role/team-search-agent"),
    ] {
        assert_eq!(subject.trusted(field), Some(value), "{field}");
    }
    assert!(subject.get("tenant").is_none(), "nothing says who the tenant is");
}

#[test]
fn an_event_that_claims_another_tenant_does_not_get_it() {
    let spec = "  principals: [{principal: \"111122223333:role/team-search-agent\", set: {tenant: acme}}]";
    let fixed = subject(spec, ROLE, &[("tenant", "rival", SAID)]);
    assert_eq!(fixed.trusted("tenant"), Some("acme"));
    let unknown = subject(NONE, ROLE, &[("tenant", "rival", SAID), ("agent", "researcher", SAID)]);
    assert!(unknown.get("tenant").is_none(), "an asserted tenant stays unattributed: {unknown}");
    assert_eq!(unknown.get("agent").map(|a| a.trust), Some(Trust::Asserted));
}

#[test]
fn no_rule_makes_an_asserted_claim_a_tenant() {
    let spec = "  claims: {customer: tenant}";
    assert!(subject(spec, ROLE, &[("customer", "rival", SAID)]).get("tenant").is_none());
}

#[test]
fn the_scope_of_a_token_fixes_and_is_above_every_other_evidence() {
    let spec = "  principals: [{principal: \"111122223333:role/team-search-agent\", set: {tenant: acme}}]";
    let subject = subject(spec, ROLE, &[("tenant", "rival", SAID), ("tenant", "billing", SCOPE)]);
    assert_eq!(subject.trusted("tenant"), Some("billing"));
    assert_eq!(&*subject.get("tenant").unwrap().evidence, "scope of source bedrock-log");
}

#[test]
fn what_a_rule_says_of_claims_renames_no_field_that_a_token_fixes() {
    let spec = "  claims: {team: tenant}";
    let fixed = subject(spec, ROLE, &[("team", "search", SCOPE), ("tenant", "acme", SCOPE)]);
    assert_eq!((fixed.trusted("tenant"), fixed.trusted("team")), (Some("acme"), Some("search")));
}

#[test]
fn a_delegate_is_believed_in_its_fields_and_in_no_others() {
    let spec = "  delegates: [{principal: \"111122223333:role/litellm\", fields: [tenant, team]}]";
    let claims = [("tenant", "acme", SAID), ("team", "search", SAID), ("agent", "researcher", SAID)];
    let subject = subject(spec, GATEWAY, &claims);
    assert_eq!(subject.trusted("tenant"), Some("acme"));
    assert_eq!(subject.trusted("team"), Some("search"));
    assert_eq!(subject.trusted("agent"), None);
    assert_eq!(subject.get("agent").map(|a| &*a.value), Some("researcher"));
    assert_eq!(&*subject.get("tenant").unwrap().evidence, "delegate 111122223333:role/litellm, tenant");
}

#[test]
fn a_principal_that_is_no_delegate_is_not_believed() {
    let spec = "  delegates: [{principal: \"111122223333:role/litellm\", fields: [tenant, team]}]";
    let subject = subject(spec, ROLE, &[("tenant", "acme", SAID), ("team", "search", SAID)]);
    assert!(subject.get("tenant").is_none());
    assert_eq!(subject.get("team").map(|a| a.trust), Some(Trust::Asserted));
}

#[test]
fn the_first_delegate_that_matches_holds() {
    let spec = "  delegates:\n    - {principal: \"111122223333:role/lite*\", fields: [team]}\n    - {principal: \
                \"111122223333:role/litellm\", fields: [tenant]}";
    let subject = subject(spec, GATEWAY, &[("tenant", "acme", SAID), ("team", "search", SAID)]);
    assert_eq!((subject.trusted("tenant"), subject.trusted("team")), (None, Some("search")));
}

#[test]
fn what_a_delegate_does_not_say_comes_from_its_principal_rule() {
    let spec = "  delegates: [{principal: \"111122223333:role/litellm\", fields: [tenant]}]\n  principals: \
                [{principal: \"111122223333:role/litellm\", set: {tenant: platform}}]";
    let said = subject(spec, GATEWAY, &[("tenant", "acme", SAID)]);
    assert_eq!(said.trusted("tenant"), Some("acme"));
    let silent = subject(spec, GATEWAY, &[("tenant", "", SAID)]);
    assert_eq!(silent.trusted("tenant"), Some("platform"));
}

#[test]
fn litellms_reserved_keys_count_only_from_a_delegate() {
    let claims = [("user_api_key_team_id", "search", SAID), ("user_api_key_alias", "bot", SAID)];
    let forged = subject(NONE, ROLE, &claims);
    assert!(forged.get("team").is_none() && forged.get("agent").is_none(), "{forged}");
    let spec = "  delegates: [{principal: \"111122223333:role/litellm\", fields: [tenant, team]}]";
    let said = subject(spec, GATEWAY, &claims);
    assert_eq!(said.trusted("team"), Some("search"));
    assert_eq!(said.get("agent").map(|a| a.trust), Some(Trust::Asserted));
}

#[test]
fn a_reserved_key_holds_against_a_key_that_the_gateways_caller_can_write() {
    let spec = "  delegates: [{principal: \"111122223333:role/litellm\", fields: [tenant]}]\n  claims: \
                {user_api_key_team_id: tenant}";
    let claims = [("tenant", "rival", SAID), ("user_api_key_team_id", "acme", SAID)];
    assert_eq!(subject(spec, GATEWAY, &claims).trusted("tenant"), Some("acme"));
}

#[test]
fn labels_count_where_the_namespace_is_trusted() {
    let spec =
        "  principals: [{principal: \"111122223333:role/team-search-agent\", set: {namespace: team-search}}]";
    let subject = subject(spec, ROLE, &[]);
    assert_eq!(subject.trusted("tenant"), Some("acme"));
    assert_eq!(subject.trusted("stage"), Some("prod"), "every label is a field under its own key");
    assert_eq!(&*subject.get("tenant").unwrap().evidence, "label tenant of namespace team-search");
}

#[test]
fn labels_do_not_count_where_the_namespace_is_only_asserted() {
    let subject = subject(NONE, ROLE, &[("namespace", "team-search", SAID)]);
    assert_eq!(subject.get("namespace").map(|a| a.trust), Some(Trust::Asserted));
    assert!(subject.get("tenant").is_none() && subject.get("stage").is_none(), "{subject}");
}

#[test]
fn a_label_with_the_name_of_our_own_field_is_not_that_field_unless_a_rule_says_so() {
    let spec = "  principals: [{principal: \"111122223333:role/team-search-agent\", set: {namespace: team-search}}]\n  \
                namespaceLabels: {stage: tenant}";
    let mut from = origin(ROLE, &[]);
    from.account = "".into();
    let subject = attribute(&rules(spec), &from, "s", "m", &cluster());
    assert!(subject.get("account").is_none(), "a label `account` is no AWS account");
    assert!(subject.get("team").is_none(), "the rule replaced the default labels");
    assert_eq!(subject.trusted("tenant"), Some("prod"));
}

#[test]
fn a_principal_rule_is_above_a_label() {
    let spec = "  principals: [{principal: \"111122223333:role/team-search-agent\", set: {tenant: own, \
                namespace: team-search}}]";
    assert_eq!(subject(spec, ROLE, &[]).trusted("tenant"), Some("own"));
}

#[test]
fn an_asserted_claim_refines_and_never_contradicts() {
    let claims = [("model", "cheap", SAID), ("principal", "999988887777:role/x", SAID), ("agent", "a", SAID)];
    let subject = subject(NONE, ROLE, &claims);
    assert_eq!(subject.trusted("model"), Some("us.anthropic.x"));
    assert_eq!(subject.trusted("principal"), Some("111122223333:role/team-search-agent"));
    assert_eq!(&*subject.get("agent").unwrap().evidence, "asserted agent");
}

#[test]
fn an_empty_value_is_no_value_and_an_unknown_claim_is_no_field() {
    let claims = [("agent", "", SAID), ("team", "  ", SAID), ("feature", "x", SAID), ("tenant", " ", SCOPE)];
    let plain = subject(NONE, ROLE, &claims);
    for field in ["agent", "team", "feature", "tenant"] {
        assert!(plain.get(field).is_none(), "{field}");
    }
    let declared = subject("  claims: {feature: feature}", ROLE, &claims);
    assert_eq!(declared.get("feature").map(|a| a.trust), Some(Trust::Asserted));
}

#[test]
fn the_events_spelling_of_a_field_is_read() {
    let subject = subject(NONE, ROLE, &[("end_user", "u1", SAID)]);
    assert_eq!(subject.get("endUser").map(|a| &*a.value), Some("u1"));
}

/// F12: the same role name in two accounts, the same session name in two roles.
#[test]
fn equal_names_in_two_accounts_are_two_principals() {
    let spec = "  principals:\n    - {principal: \"111122223333:role/agent\", set: {tenant: acme}}\n    - \
                {principal: \"444455556666:role/agent\", set: {tenant: billing}}";
    let tenant = |account: &str| {
        let arn = format!("arn:aws:sts::{account}:assumed-role/agent/same-session");
        subject(spec, &arn, &[]).trusted("tenant").map(ToOwned::to_owned)
    };
    assert_eq!(tenant("111122223333").as_deref(), Some("acme"));
    assert_eq!(tenant("444455556666").as_deref(), Some("billing"));
    assert_eq!(tenant("777788889999"), None);
}

#[test]
fn the_session_name_says_nothing() {
    let spec = "  principals: [{principal: \"*:role/admin\", set: {tenant: root}}]";
    for arn in [
        "arn:aws:sts::111122223333:assumed-role/guest/admin",
        "arn:aws:sts::111122223333:assumed-role/guest/role/admin",
        "arn:aws:sts::111122223333:assumed-role/guest/x:role/admin",
    ] {
        assert!(subject(spec, arn, &[]).get("tenant").is_none(), "{arn}");
    }
}

#[test]
fn a_pattern_without_an_account_and_a_raw_arn_match_nobody() {
    let mut unqualified = rules("  principals: [{principal: \"*:role/agent\", set: {tenant: acme}}]");
    unqualified.principals[0].principal = "role/agent".into();
    let arn = "arn:aws:sts::111122223333:assumed-role/agent/s";
    let subject = attribute(&unqualified, &origin(arn, &[]), "s", "m", &cluster());
    assert!(subject.get("tenant").is_none());
    let odd = rules("  principals: [{principal: \"*:*role/agent\", set: {tenant: acme}}]");
    let subject =
        attribute(&odd, &origin("arn:other:iam::111122223333:role/agent", &[]), "s", "m", &cluster());
    assert!(subject.get("tenant").is_none(), "an ARN of a form that we do not know is nobody's");
}

#[test]
fn a_star_in_the_account_does_not_reach_into_the_name() {
    let spec = "  principals: [{principal: \"1*:role/agent\", set: {tenant: acme}}]";
    let user = subject(spec, "arn:aws:iam::111122223333:user/x/role/agent", &[]);
    assert!(user.get("tenant").is_none(), "{user}");
    assert_eq!(subject(spec, "arn:aws:iam::111122223333:role/p/agent", &[]).trusted("tenant"), Some("acme"));
}

#[test]
fn another_authenticated_identity_is_kept_as_it_is_and_can_be_named() {
    let spec = "  principals: [{principal: \"spiffe://prod.example/ns/search/*\", set: {tenant: acme}}]";
    let subject = subject(spec, "spiffe://prod.example/ns/search/sa/agent", &[]);
    assert_eq!(subject.trusted("tenant"), Some("acme"));
    assert_eq!(subject.trusted("principal"), Some("spiffe://prod.example/ns/search/sa/agent"));
}

#[test]
fn a_call_without_an_identity_is_nobodys() {
    let spec = "  principals: [{principal: \"*:role*\", set: {tenant: acme}}]";
    let subject = subject(spec, "", &[]);
    assert!(subject.get("principal").is_none() && subject.get("tenant").is_none());
}

#[test]
fn principals_are_shortened_to_account_and_name() {
    for (arn, short) in [
        (
            "arn:aws:sts::111122223333:assumed-role/team-search-agent/session",
            Some("111122223333:role/team-search-agent"),
        ),
        ("arn:aws:sts::111122223333:assumed-role/rag-indexer", Some("111122223333:role/rag-indexer")),
        ("arn:aws:iam::111122223333:role/path/to/rag-indexer", Some("111122223333:role/rag-indexer")),
        ("arn:aws:iam::111122223333:user/user-2", Some("111122223333:user/user-2")),
        ("arn:aws:iam::111122223333:user/division/user-2", Some("111122223333:user/user-2")),
        ("arn:aws:iam::111122223333:root", Some("111122223333:root")),
        ("arn:aws:sts::111122223333:federated-user/bob", Some("111122223333:federated-user/bob")),
        ("arn:aws-us-gov:sts::111122223333:assumed-role/x/s", Some("111122223333:role/x")),
        ("arn:aws-cn:iam::111122223333:role/x", Some("111122223333:role/x")),
        ("arn:aws:sts::1111:assumed-role/x/s", None),
        ("arn:aws:sts::111122223333:assumed-role/", None),
        ("arn:aws:sts::111122223333:assumed-role//s", None),
        ("arn:aws:iam::111122223333:group/x", None),
        ("arn:aws:s3:::bucket", None),
        ("role/x", None),
        ("", None),
    ] {
        assert_eq!(short_principal(arn).as_deref(), short, "{arn}");
    }
}

#[test]
fn what_a_pushed_event_says_of_its_record_is_asserted_unless_the_token_fixes_it() {
    let pushed = |claims: &[(&str, &str, Trust)]| {
        let said = Origin { record: SAID, ..origin(ROLE, claims) };
        let spec =
            "  principals: [{principal: \"111122223333:role/team-search-agent\", set: {tenant: acme}}]";
        attribute(&rules(spec), &said, "gateway", "us.anthropic.x", &cluster())
    };
    let free = pushed(&[]);
    assert_eq!(free.trusted("source"), Some("gateway"), "the token is known whatever the event says");
    for field in ["provider", "account", "region", "model", "principal"] {
        assert_eq!(free.get(field).map(|a| a.trust), Some(SAID), "{field}: {free}");
    }
    assert!(free.get("tenant").is_none(), "an asserted principal has no rule: {free}");
    let fixed = pushed(&[("region", "eu-west-1", SCOPE), ("principal", ROLE, SCOPE)]);
    assert_eq!(fixed.trusted("region"), Some("eu-west-1"));
    assert_eq!(fixed.trusted("tenant"), Some("acme"), "the principal that the token fixes has");
    assert_eq!(fixed.trusted("model"), None);
}
