//! `tools/need.bash`: what a machine lacks is installed by the project's own scripts.
//!
//! On a machine that has nothing but a shell: a PATH of a few links, on which the installers are played.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result};

const BASICS: [&str; 20] = [
    "bash",
    "sh",
    "cat",
    "chmod",
    "cp",
    "dirname",
    "echo",
    "env",
    "grep",
    "gzip",
    "id",
    "mkdir",
    "mktemp",
    "mv",
    "rm",
    "sha256sum",
    "tar",
    "tr",
    "uname",
    "touch",
];

struct Machine {
    home: tempfile::TempDir,
}

impl Machine {
    fn bare() -> Result<Self> {
        let machine = Self { home: tempfile::tempdir()? };
        std::fs::create_dir(machine.bin())?;
        for name in BASICS {
            let found = std::env::split_paths(&std::env::var_os("PATH").context("a PATH")?)
                .map(|folder| folder.join(name))
                .find(|path| path.exists());
            symlink(found.with_context(|| format!("`{name}`"))?, machine.bin().join(name))?;
        }
        Ok(machine)
    }

    fn bin(&self) -> PathBuf {
        self.home.path().join("bin")
    }

    /// A program played by a few lines of shell.
    fn play(&self, name: &str, lines: &str) -> Result<()> {
        let path = self.bin().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{lines}\n"))?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        Ok(())
    }

    fn need(&self, tool: &str, install: &str) -> Result<Output> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/need.bash");
        let lines =
            format!("set -euo pipefail; source '{}'; need {tool}; {tool} --version", script.display());
        Ok(Command::new(self.bin().join("bash"))
            .args(["-c", &lines, "demo"])
            .env_clear()
            .env("PATH", self.bin())
            .env("HOME", self.home.path())
            .env("BREAKERBOX_INSTALL", install)
            .output()?)
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_is_not_to_be_installed_is_named_with_where_to_get_it() -> Result<()> {
    let machine = Machine::bare()?;
    for (tool, words) in [
        ("cargo", "demo: error: `cargo` is not on PATH; install Rust by rustup (https://rustup.rs)"),
        ("cc", "install a C compiler (Debian: build-essential)"),
        ("go", "install Go 1.26 or later (https://go.dev/dl)"),
        ("flock", "install `flock` (Debian: util-linux)"),
    ] {
        let output = machine.need(tool, "no")?;
        assert_eq!(output.status.code(), Some(2), "{tool}");
        assert!(said(&output).contains(words), "{}", said(&output));
    }
    Ok(())
}

#[test]
fn rust_is_installed_by_rustup_and_found_in_the_same_run() -> Result<()> {
    let machine = Machine::bare()?;
    let rustup = r##"echo "$@" >$HOME/asked; mkdir -p $HOME/.cargo/bin
        printf "#!/bin/sh\necho cargo 1.95\n" >$HOME/.cargo/bin/cargo; chmod +x $HOME/.cargo/bin/cargo"##;
    std::fs::write(machine.home.path().join("rustup.sh"), rustup)?;
    machine
        .play("curl", "case \"$*\" in *https://sh.rustup.rs) cat $HOME/rustup.sh ;; *) exit 22 ;; esac")?;
    let output = machine.need("cargo", "yes")?;
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(output.stdout, b"cargo 1.95\n");
    let asked = std::fs::read_to_string(machine.home.path().join("asked"))?;
    assert_eq!(asked, "-y --no-modify-path --profile minimal --default-toolchain none\n");
    Ok(())
}

#[test]
fn a_compiler_comes_from_the_package_manager() -> Result<()> {
    let machine = Machine::bare()?;
    machine.play("id", "echo 0")?;
    let install = r##"echo "$@" >>$HOME/asked; case "$*" in install*)
        printf "#!/bin/sh\necho cc 14\n" >$HOME/bin/cc; chmod +x $HOME/bin/cc ;; esac"##;
    machine.play("apt-get", install)?;
    let output = machine.need("cc", "yes")?;
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("`cc` is not on PATH; installing it"));
    let asked = std::fs::read_to_string(machine.home.path().join("asked"))?;
    assert_eq!(asked, "update -qq\ninstall -y -qq build-essential\n");
    Ok(())
}

#[test]
fn what_no_package_manager_can_give_is_named() -> Result<()> {
    let output = Machine::bare()?.need("openssl", "yes")?;
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("`openssl` could not be installed; install `openssl`"),
        "{}",
        said(&output)
    );
    Ok(())
}

/// A machine whose `curl` gives an archive of Go, and that sum of it.
fn with_go(sum: &str) -> Result<Machine> {
    let machine = Machine::bare()?;
    let archive = r##"mkdir -p $HOME/pack/go/bin; printf "#!/bin/sh\necho go 1.26\n" >$HOME/pack/go/bin/go
        chmod +x $HOME/pack/go/bin/go; tar -czf $HOME/go.tar.gz -C $HOME/pack go"##;
    let curl = format!(
        r##"{archive}; for last in "$@"; do :; done
        case "$last" in *.sha256) {sum} ;; *) while [ "$1" != --output ]; do shift; done; cp $HOME/go.tar.gz "$2" ;; esac"##
    );
    machine.play("curl", &curl)?;
    Ok(machine)
}

#[test]
fn go_is_taken_only_with_its_published_sum() -> Result<()> {
    let machine = with_go("sha256sum <$HOME/go.tar.gz | { read sum rest; echo $sum; }")?;
    let output = machine.need("go", "yes")?;
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(output.stdout, b"go 1.26\n");

    let machine = with_go("echo 0000000000000000000000000000000000000000000000000000000000000000")?;
    let output = machine.need("go", "yes")?;
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("`go` could not be installed"), "{}", said(&output));
    assert!(!machine.home.path().join(".cache/breakerbox/tools").exists());
    Ok(())
}
