use collector::bedrock::CacheTtl;
use policy::price::Tier;

use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse("config.yaml", text, &Overrides::default())
}

fn report(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn an_empty_file_observes_with_the_defaults() {
    for text in ["", "\n# nothing yet\n"] {
        let config = parse(text).unwrap();
        assert_eq!(config.ceiling, Mode::Observe);
        assert_eq!(config.listen.to_string(), "127.0.0.1:9464");
        assert_eq!(config.socket, Path::new("/var/lib/breakerbox/breakerbox.sock"));
        assert_eq!(config.cluster.connect, Connect::None);
        assert_eq!(config.limits.horizon, Span::from_hours(48));
        assert_eq!(config.limits.disk_reserve, 268_435_456);
        assert_eq!(config.settings(IdKey([1, 2])), Settings::new(IdKey([1, 2]), ""));
    }
}

#[test]
fn a_whole_file_is_taken_as_written() {
    let config = parse(
        r#"
dataDir: /data
rulesDir: /rules
http: {listen: "0.0.0.0:9000"}
ceiling: enforce
installId: prod-eu-1
cluster: {connect: kubeconfig, context: prod, namespace: bb, kedaVersion: 2.16.1}
sources:
  bedrock:
    - {path: /logs/a}
    - {name: eu, path: "/logs/eu/**/*.json.gz", poll: 2s, settle: 5m, assume: {tier: flex, cacheTtl: 1h}}
tokens:
  - {name: litellm, secret: {env: LITELLM}, fields: {tenant: acme}, account: "111122223333"}
operators:
  - {name: oncall, secret: {file: /run/secrets/op}}
slack: {api: "https://slack-gov.com/api/"}
limits: {onTime: 10m, horizon: 24h, diskReserve: 1 GiB, body: 512KiB}
poll: {rules: 5s}
metrics: {maxSeries: 50}
log: {format: json}
"#,
    )
    .unwrap();
    assert_eq!(config.socket, Path::new("/data/breakerbox.sock"));
    assert_eq!(config.dead_letter_dir, Path::new("/data/dead-letter"));
    assert_eq!(config.cluster.connect, Connect::Kubeconfig { file: None, context: Some("prod".into()) });
    assert_eq!(config.bedrock[0].name, "bedrock-log");
    assert_eq!(config.bedrock[1].poll, Duration::from_secs(2));
    let (a, eu) = (&config.bedrock[0], &config.bedrock[1]);
    assert_eq!((a.settle, a.assume), (Duration::from_secs(30), Assume::default()));
    let assume = Assume { tier: Tier::Flex, cache_ttl: CacheTtl::OneHour };
    assert_eq!((eu.settle, eu.assume), (Duration::from_secs(300), assume));
    assert_eq!(config.tokens[0].secret, SecretRef::Env("LITELLM".into()));
    assert_eq!(config.tokens[0].fields["tenant"], "acme");
    assert_eq!(config.operators[0].secret, SecretRef::File("/run/secrets/op".into()));
    assert_eq!(config.slack_api.as_deref(), Some("https://slack-gov.com/api"));
    assert_eq!(config.limits.body_bytes, 524_288);
    assert_eq!(config.limits.disk_reserve, 1 << 30);
    assert_eq!((config.max_series, config.log), (50, LogFormat::Json));
    let settings = config.settings(IdKey([1, 2]));
    assert_eq!((&*settings.install, settings.horizon), ("prod-eu-1", Span::from_hours(24)));
}

#[test]
fn flags_and_environment_hold_over_the_file() {
    let over = Overrides {
        data_dir: Some("/elsewhere".into()),
        listen: Some("127.0.0.1:1".into()),
        ceiling: Some("alert".into()),
        ..Overrides::default()
    };
    let config = Config::parse("config.yaml", "dataDir: /data\nceiling: observe\n", &over).unwrap();
    assert_eq!(config.data_dir, Path::new("/elsewhere"));
    assert_eq!(config.socket, Path::new("/elsewhere/breakerbox.sock"));
    assert_eq!((config.ceiling, config.listen.port()), (Mode::Alert, 1));
}

#[test]
fn a_mistake_in_a_flag_names_the_flag() {
    let over = Overrides { ceiling: Some("enforced".into()), ..Overrides::default() };
    let error = Config::parse("config.yaml", "", &over).unwrap_err().to_string();
    assert_eq!(
        error,
        "error: --ceiling (BREAKERBOX_CEILING): `enforced` is no mode\n  help: did you mean `enforce`?\n"
    );
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_what_was_probably_meant() {
    assert_eq!(
        report("dataDir: /data\nruleDir: /rules\n"),
        "error: config.yaml:2:1: unknown key `ruleDir`\n  |\n2 | ruleDir: /rules\n  | ^\n  help: did you \
         mean `rulesDir`?\n"
    );
    assert_eq!(
        report("limits:\n  colour: blue\n"),
        "error: config.yaml:2:3: unknown key `colour`\n  |\n2 |   colour: blue\n  |   ^\n  help: the keys here \
         are `onTime`, `horizon`, `maxAhead`, `body`, `diskReserve`, `keep`\n"
    );
}

#[test]
fn a_bot_token_goes_nowhere_in_the_clear_but_to_this_machine() {
    let api =
        |url: &str| parse(&format!("slack: {{api: \"{url}\"}}")).map(|config| config.slack_api.unwrap());
    for (url, taken) in [
        ("https://slack.com/api", "https://slack.com/api"),
        ("http://127.0.0.1:8080/api/", "http://127.0.0.1:8080/api"),
        ("http://localhost/api", "http://localhost/api"),
        ("http://[::1]:1/api", "http://[::1]:1/api"),
    ] {
        assert_eq!(api(url).unwrap(), taken);
    }
    for url in [
        "http://slack.com/api",
        "slack.com/api",
        "ftp://slack.com/api",
        "https://bot:token@slack.com/api",
        "https://slack.com/api?x=1",
        "",
    ] {
        let error = api(url).unwrap_err().to_string();
        assert!(error.contains("is no address for a bot token to go to"), "{url}: {error}");
        assert!(error.contains("config.yaml:1:14"), "{url}: {error}");
    }
}

#[test]
fn all_mistakes_in_values_are_told_at_once_in_the_order_of_their_places() {
    let text = "ceiling: enforce\nhttp: {listen: here}\nlimits:\n  horizon: 5 minutes\n  body: 8\n";
    assert_eq!(
        report(text),
        "\
error: config.yaml:1:10: the ceiling `enforce` needs an `installId`
  |
1 | ceiling: enforce
  |          ^
  help: name this installation, `installId: prod-eu-1`: it marks every object that is held, and must stay the same when the journal is lost

error: config.yaml:1:10: the ceiling `enforce` needs a cluster
  |
1 | ceiling: enforce
  |          ^
  help: write `cluster: {connect: in-cluster}` (or kubeconfig), or lower the ceiling to `alert`

error: config.yaml:2:16: `here` is no address to listen on
  |
2 | http: {listen: here}
  |                ^
  help: write address and port, 127.0.0.1:9464 or [::]:9464

error: config.yaml:4:12: `5 minutes` is not a length of time
  |
4 |   horizon: 5 minutes
  |            ^
  help: write it like 90s, 5m, 1h30m or 30d

error: config.yaml:5:9: `8` is no amount of bytes
  |
5 |   body: 8
  |         ^
  help: write it like 256 MiB, 8 MiB or 1 GiB
"
    );
}

/// Every other kind of mistake: text, line, column, and words of message and help.
#[expect(clippy::too_many_lines, reason = "one table")]
#[test]
fn each_mistake_has_its_line_and_a_help() {
    let cases = [
        ("ceiling: loud", 1, 10, "`loud` is no mode", "write `observe`, `alert`, `approve` or `enforce`"),
        ("installId: Prod EU", 1, 12, "`Prod EU` is no install id", "lower-case"),
        ("cluster: {connect: magic}", 1, 20, "`magic` is no way to reach a cluster", "`in-cluster`"),
        ("cluster:\n  context: prod", 2, 12, "`prod` is used only with", "`connect: kubeconfig`"),
        ("tokens:\n  - {name: a b, secret: {env: X}}", 2, 12, "`a b` is no name of a source", "letters"),
        (
            "tokens:\n  - {name: a, secret: {}}",
            2,
            23,
            "exactly one of `env` and `file`",
            "{env: LITELLM_TOKEN}",
        ),
        (
            "tokens:\n  - {name: a, secret: {env: X, file: Y}}",
            2,
            23,
            "exactly one of `env` and `file`",
            "{file: /run/secrets/litellm}",
        ),
        (
            "tokens:\n  - name: a\n    secret: {env: X}\n    fields: {tennant: acme}",
            4,
            23,
            "`tennant` is no field",
            "did you mean `tenant`?",
        ),
        (
            "tokens:\n  - name: a\n    secret: {env: X}\n    fields: {tenant: \"\"}",
            4,
            22,
            "`tenant` is empty",
            "leave the field out",
        ),
        (
            "tokens:\n  - name: a\n    secret: {env: X}\n    account: \"12\"",
            4,
            14,
            "`12` is no AWS account id",
            "twelve digits",
        ),
        (
            "tokens:\n  - {name: a, secret: {env: X}}\n  - {name: a, secret: {env: Y}}",
            3,
            12,
            "`a` names two sources",
            "its own name",
        ),
        (
            "sources:\n  bedrock:\n    - path: /a\n    - path: /b",
            4,
            13,
            "two sources are called `bedrock-log`",
            "`name:`",
        ),
        ("sources:\n  bedrock:\n    - {path: /a, settle: 0s}", 3, 26, "`0s` is no time at all", "above 0s"),
        (
            "sources:\n  bedrock:\n    - {path: /a, assume: {tier: flexx}}",
            3,
            33,
            "`flexx` is no service tier",
            "did you mean `flex`?",
        ),
        (
            "sources:\n  bedrock:\n    - {path: /a, assume: {cacheTtl: 2h}}",
            3,
            37,
            "`2h` is no TTL of a cache",
            "write `5m` or `1h`",
        ),
        ("sources:\n  bedrock:\n    - path: \" \"", 3, 13, "`path` is empty", "glob"),
        ("sources:\n  bedrock:\n    - poll: 1s", 3, 7, "`path` is missing", "add `path:`"),
        ("limits: {horizon: 5m}", 1, 19, "the horizon of 5m is shorter", "raise `horizon`"),
        ("poll: {tick: 0s}", 1, 14, "`0s` is no time at all", "above 0s"),
        ("metrics: {maxSeries: 1}", 1, 22, "`1` series are too few", "from 10 to 100000"),
        ("log: {format: xml}", 1, 15, "`xml` is no log format", "`json`"),
        ("dataDir: /a\ndataDir: /b", 2, 1, "`dataDir` is written twice", "keep one"),
        ("tokens: yes", 1, 9, "", "configuration"),
        ("dataDir: [", 1, 0, "", ""),
    ];
    for (text, line, column, message, help) in cases {
        let error = parse(text).expect_err(text);
        let mistakes: Vec<&Mistake> = error.mistakes().collect();
        assert_eq!(mistakes.len(), 1, "{text}\n{error}");
        assert_eq!(mistakes[0].spot.line, line, "{text}\n{error}");
        assert!(column == 0 || mistakes[0].spot.column == column, "{text}\n{error}");
        assert!(mistakes[0].message.contains(message), "{text}\n{error}");
        assert!(!mistakes[0].help.is_empty() && mistakes[0].help.contains(help), "{text}\n{error}");
    }
}

#[test]
fn a_socket_path_that_linux_cannot_hold_is_refused_before_it_is_tried() {
    let long = format!("dataDir: /{}\n", "d".repeat(120));
    assert!(report(&long).contains("config.yaml:1:10: the socket path"), "{}", report(&long));
}

#[test]
fn a_file_that_was_named_must_exist_and_the_default_one_need_not() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone.yaml");
    let error = Config::load(Some(&gone), &Overrides::default()).unwrap_err().to_string();
    assert!(error.contains("cannot read") && error.contains("--config"), "{error}");
}

#[test]
fn the_example_of_the_configuration_page_is_valid() {
    let page = include_str!("../../../docs/configuration.md");
    let example = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let config = Config::parse("configuration.md", example, &Overrides::default()).unwrap();
    assert_eq!((config.bedrock.len(), config.tokens.len(), config.operators.len()), (1, 1, 1));
    assert_eq!(config.install_id, "prod-east");
}
