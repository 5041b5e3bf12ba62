//! The binary itself: exit codes, what goes to stdout and what to stderr, and a daemon that is killed.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const RULES: &str = r#"apiVersion: breakerbox.dev/v1alpha1
kind: Budget
metadata:
  name: tenant-daily
spec:
  description: What each tenant may spend in a day.
  select: {all: true}
  perEach: [tenant]
  limit:
    amount: 50 USD
  window: {calendar: day, timezone: UTC}
  mode: observe
"#;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(place.path("rules")).unwrap();
        fs::write(place.path("rules/tenants.yaml"), RULES).unwrap();
        let text = format!(
            "dataDir: {}\nrulesDir: {}\nhttp: {{listen: \"127.0.0.1:0\"}}\nlimits: {{diskReserve: 1 B}}\n",
            place.path("data").display(),
            place.path("rules").display()
        );
        fs::write(place.path("config.yaml"), text).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_breakerbox"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BREAKERBOX_")) {
            command.env_remove(name);
        }
        command.arg("--config").arg(self.path("config.yaml")).args(args);
        command
    }

    fn ask(&self, args: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(args).output().unwrap();
        (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    /// The same, of a command that must not hang.
    fn ask_in_time(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = self.command(args);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (process, (tell, ended)) = (child.id(), std::sync::mpsc::channel());
        std::thread::spawn(move || tell.send(child.wait_with_output()));
        let Ok(output) = ended.recv_timeout(Duration::from_secs(20)) else {
            let process = nix::unistd::Pid::from_raw(i32::try_from(process).unwrap());
            nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGKILL).unwrap();
            panic!("{args:?} hangs");
        };
        let Output { status, stdout, stderr } = output.unwrap();
        (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    /// A daemon that says it is running.
    fn daemon(&self) -> Daemon {
        let mut child = self.command(&["run"]).stderr(Stdio::piped()).env("NO_COLOR", "1").spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = Vec::new();
        loop {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {seen:?}")).unwrap();
            if line.contains("running") {
                break;
            }
            seen.push(line);
        }
        // Read on, so that it never waits for a reader of its log.
        let log = std::thread::spawn(move || lines.map_while(Result::ok).collect());
        Daemon { child, log }
    }
}

struct Daemon {
    child: Child,
    log: std::thread::JoinHandle<Vec<String>>,
}

impl Daemon {
    fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    fn end(mut self, signal: nix::sys::signal::Signal) -> (Option<i32>, Vec<String>) {
        self.signal(signal);
        let status = self.child.wait().unwrap();
        (status.code(), self.log.join().unwrap())
    }
}

fn socket_is_gone(place: &Path) -> bool {
    !place.join("data/breakerbox.sock").exists()
}

#[test]
fn check_answers_with_zero_two_or_one() {
    let place = Place::new();
    let (code, out, _) = place.ask(&["check"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("ok: 1 file(s), 1 budget(s)"), "{out}");
    let (code, out, _) = place.ask(&["check", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["budgets"]), (0, &serde_json::json!(1)));

    let freeze = "---\napiVersion: breakerbox.dev/v1alpha1\nkind: Guardrail\nmetadata: {name: g}\nspec:\n  freeze:\n    \
                  - {from: 2020-01-01, until: 2199-12-31, timezone: UTC, because: never}\n    \
                  - {from: 2200-02-01T00:00:00Z, until: 2200-02-02T00:00:00Z}\n";
    fs::write(place.path("rules/rail.yaml"), freeze).unwrap();
    let (code, out, _) = place.ask(&["check"]);
    let lines: Vec<&str> = out.lines().skip(1).collect();
    let next = "freezes next from 2200-02-01T00:00:00Z until 2200-02-02T00:00:00Z (rail.yaml:8)";
    assert_eq!((code, lines), (0, vec!["frozen now until 2200-01-01T00:00:00Z: never (rail.yaml:7)", next]));
    fs::remove_file(place.path("rules/rail.yaml")).unwrap();

    fs::write(place.path("rules/tenants.yaml"), RULES.replace("perEach", "perEech")).unwrap();
    let (code, out, err) = place.ask(&["check"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("tenants.yaml:8") && err.contains("perEach"), "{err}");
    let (code, out, _) = place.ask(&["check", "--format", "json"]);
    assert_eq!(code, 2);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(json.to_string().contains("tenants.yaml"), "{json}");

    let (code, _, err) = place.ask(&["check", "/nowhere"]);
    assert_eq!(code, 1);
    assert!(err.contains("cannot read `/nowhere`"), "{err}");
}

#[test]
fn a_wrong_configuration_is_told_with_its_place_and_ends_with_two() {
    let place = Place::new();
    fs::write(place.path("config.yaml"), "ruleDir: /x\n").unwrap();
    for args in [&["run"][..], &["status"], &["check"]] {
        let (code, out, err) = place.ask(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(err.contains("config.yaml:1:1: unknown key `ruleDir`"), "{err}");
    }
}

#[test]
fn without_a_daemon_questions_end_with_one_and_freeze_works() {
    let place = Place::new();
    let (code, _, err) = place.ask(&["status"]);
    assert_eq!(code, 1);
    assert!(err.contains("is `breakerbox run` running there?"), "{err}");
    let (code, out, _) = place.ask(&["freeze", "--reason", "audit"]);
    assert_eq!(code, 0, "{out}");
    let marker = fs::read_to_string(place.path("data/freeze")).unwrap();
    assert!(marker.starts_with("audit (uid:"), "{marker}");
    let (code, _, _) = place.ask(&["unfreeze"]);
    assert_eq!(code, 0);
    assert!(!place.path("data/freeze").exists());
    let (code, _, err) = place.ask(&["release", "--all"]);
    assert_eq!(code, 1);
    assert!(err.contains("no cluster is configured"), "{err}");
}

#[test]
fn a_daemon_answers_its_command_line_and_drains_on_sigterm() {
    let place = Place::new();
    let daemon = place.daemon();
    let (code, out, _) = place.ask(&["status"]);
    assert_eq!(code, 0);
    assert!(out.contains("may     observe"), "{out}");
    let (code, out, _) = place.ask(&["status", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["ceiling"]), (0, &serde_json::json!("observe")));
    let (code, out, _) = place.ask(&["freeze", "--reason", "audit"]);
    assert!(code == 0 && out.contains("freeze (audit)"), "{out}");
    assert!(place.ask(&["status", "--format", "plain"]).1.contains("freeze\tfrozen by uid:"));
    assert_eq!(place.ask(&["unfreeze"]).0, 0);
    assert_eq!(place.ask(&["unfreeze"]).0, 3, "it was not frozen");
    assert_eq!(place.ask(&["approve", "d999"]).0, 3);
    assert_eq!(place.ask(&["approve", "yes"]).0, 2);
    assert_eq!(place.ask(&["explain", "d999"]).0, 4);
    let (code, out, _) = place.ask(&["explain", "nobody"]);
    assert!(code == 4 && out.contains("nobody: no charge under this name"), "{out}");
    assert_eq!(place.ask(&["run"]).0, 75, "a second one is refused");
    let (code, log) = daemon.end(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(code, Some(0), "{log:?}");
    assert!(log.iter().any(|line| line.contains("drained")), "{log:?}");
    assert!(socket_is_gone(place.dir.path()));
}

#[test]
fn after_kill_nine_the_next_daemon_goes_on_where_it_was() {
    let place = Place::new();
    let daemon = place.daemon();
    assert_eq!(place.ask(&["freeze", "--reason", "audit"]).0, 0);
    daemon.end(nix::sys::signal::Signal::SIGKILL);
    assert!(!socket_is_gone(place.dir.path()), "nobody took it away");
    let daemon = place.daemon();
    let (_, out, _) = place.ask(&["status"]);
    assert!(out.contains("audit"), "the acked freeze is still there: {out}");
    assert_eq!(daemon.end(nix::sys::signal::Signal::SIGINT).0, Some(0));
}

/// In the place of a daemon: one that hangs, one that breaks off, one whose turn has ended.
#[test]
fn beside_a_daemon_that_does_not_answer_freeze_and_release_all_go_the_way_without_one() {
    for answer in [None, Some(""), Some("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")] {
        let place = Place::new();
        fs::create_dir(place.path("data")).unwrap();
        let listener = UnixListener::bind(place.path("data/breakerbox.sock")).unwrap();
        if let Some(answer) = answer {
            let listener = listener.try_clone().unwrap();
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let _ = stream.unwrap().write_all(answer.as_bytes());
                }
            });
        }
        let (code, out, err) = place.ask_in_time(&["freeze", "--reason", "audit"]);
        assert_eq!(code, 0, "{answer:?}: {out}{err}");
        assert!(err.contains("the daemon did not answer"), "{answer:?}: {err}");
        assert!(fs::read_to_string(place.path("data/freeze")).unwrap().starts_with("audit"));
        let (code, _, err) = place.ask_in_time(&["release", "--all"]);
        assert_eq!(code, 1, "{answer:?}");
        assert!(err.contains("the daemon did not answer") && err.contains("no cluster"), "{answer:?}: {err}");
    }
}

#[test]
fn a_daemon_that_is_stopped_in_its_tracks_holds_up_no_freeze() {
    let place = Place::new();
    let daemon = place.daemon();
    daemon.signal(nix::sys::signal::Signal::SIGSTOP);
    let (code, out, err) = place.ask_in_time(&["freeze", "--reason", "audit"]);
    assert!(code == 0 && err.contains("the daemon did not answer"), "{out}{err}");
    assert!(place.path("data/freeze").exists());
    daemon.signal(nix::sys::signal::Signal::SIGCONT);
    assert_eq!(daemon.end(nix::sys::signal::Signal::SIGTERM).0, Some(0));
}
