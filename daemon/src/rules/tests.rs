use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use policy::rule::RuleSet;

use super::*;

/// A compiler for these tests: a file that says `bad` is wrong; the set's id is what the files say.
fn compile(files: &[RuleFile]) -> Result<Compiled, String> {
    match files.iter().find(|f| f.text.contains("bad")) {
        Some(bad) => Err(format!("error: {}:1:1: `bad`", bad.path)),
        None => {
            let id = files.iter().map(|f| format!("{}={}", f.path, f.text)).collect::<Vec<_>>().join(";");
            Ok(Compiled { rules: RuleSet { id: id.into(), ..RuleSet::default() }, warnings: String::new() })
        }
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn changed(news: News) -> String {
    match news {
        News::Changed(compiled) => compiled.rules.id.into(),
        other => panic!("{other:?}"),
    }
}

fn refused(news: News) -> String {
    match news {
        News::Refused(report) => report,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_yaml_files_are_read_in_order_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("b.yaml", "2"),
        ("a.yml", "1"),
        ("teams/c.yaml", "3"),
        ("notes.md", "x"),
        ("package.json", "x"),
        ("teams/a.litellm.json", "4"),
        ("model_prices_and_context_window.json", "5"),
        ("b.test.yaml", "x"),
        (".hidden.yaml", "x"),
        (".git/config.yaml", "x"),
    ] {
        write(dir.path(), name, text);
    }
    let files = read_folder(dir.path()).unwrap();
    let found: Vec<(&str, &str)> = files.iter().map(|f| (f.path.as_str(), f.text.as_str())).collect();
    assert_eq!(
        found,
        [
            ("a.yml", "1"),
            ("b.yaml", "2"),
            ("model_prices_and_context_window.json", "5"),
            ("teams/a.litellm.json", "4"),
            ("teams/c.yaml", "3")
        ]
    );
}

#[test]
fn a_link_that_leads_back_up_does_not_go_round_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.yaml", "1");
    fs::create_dir(dir.path().join("sub")).unwrap();
    symlink(dir.path(), dir.path().join("sub/up")).unwrap();
    assert_eq!(read_folder(dir.path()).unwrap().len(), 1);
}

#[test]
fn what_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let report = |folder: &Path| read_folder(folder).unwrap_err().to_string();
    assert!(report(&dir.path().join("gone")).contains("`rulesDir`"));
    assert!(report(dir.path()).contains("there is no rule file in"));
    fs::write(dir.path().join("a.litellm.json"), "{}").unwrap();
    assert!(report(dir.path()).contains("there is no rule file in"), "prices alone are no rules");
    fs::write(dir.path().join("latin.yaml"), b"name: caf\xe9").unwrap();
    assert!(report(dir.path()).contains("latin.yaml` is not UTF-8 text (byte 9)"), "{}", report(dir.path()));
    fs::write(dir.path().join("latin.yaml"), "x".repeat((1 << 20) + 1)).unwrap();
    assert!(report(dir.path()).contains("a rule file has 1 MiB at most"));
    fs::remove_file(dir.path().join("latin.yaml")).unwrap();
    symlink(dir.path().join("nowhere.yaml"), dir.path().join("dangling.yaml")).unwrap();
    assert!(
        report(dir.path()).contains("dangling.yaml"),
        "a link to nothing is half a set, not a smaller one"
    );
}

#[test]
fn a_change_counts_once_it_was_seen_twice() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.yaml", "1");
    let mut watcher = Watcher::new(dir.path(), compile);
    assert_eq!(&*watcher.first().unwrap().rules.id, "a.yaml=1");
    assert_eq!(watcher.poll(), News::Same);
    write(dir.path(), "a.yaml", "2");
    assert_eq!(watcher.poll(), News::Same, "it may still be being written");
    write(dir.path(), "a.yaml", "23");
    assert_eq!(watcher.poll(), News::Same);
    assert_eq!(changed(watcher.poll()), "a.yaml=23");
    assert_eq!(watcher.poll(), News::Same);
}

#[test]
fn an_invalid_empty_or_vanished_set_is_refused_once_and_the_old_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules");
    write(&rules, "a.yaml", "1");
    let mut watcher = Watcher::new(&rules, compile);
    watcher.first().unwrap();
    let mut twice = || {
        assert_eq!(watcher.poll(), News::Same);
        watcher.poll()
    };
    write(&rules, "a.yaml", "bad");
    assert_eq!(refused(twice()), "error: a.yaml:1:1: `bad`");
    fs::remove_file(rules.join("a.yaml")).unwrap();
    assert!(refused(twice()).contains("there is no rule file"));
    fs::remove_dir(&rules).unwrap();
    assert!(refused(twice()).contains("cannot read"));
    assert_eq!(twice(), News::Same, "told once");
    write(&rules, "a.yaml", "1");
    assert_eq!(changed(twice()), "a.yaml=1", "back as it was: taken again, the engine sees no difference");
}

#[test]
fn at_start_a_broken_set_is_an_error_with_its_report() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.yaml", "bad");
    assert_eq!(Watcher::new(dir.path(), compile).first().unwrap_err(), "error: a.yaml:1:1: `bad`");
}

/// As a ConfigMap volume does it: files link into `..data`, which is a link that is swapped.
#[test]
fn a_swapped_symlink_above_the_files_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "..v1/a.yaml", "1");
    write(dir.path(), "..v2/a.yaml", "2");
    symlink("..v1", dir.path().join("..data")).unwrap();
    symlink("..data/a.yaml", dir.path().join("a.yaml")).unwrap();
    let mut watcher = Watcher::new(dir.path(), compile);
    assert_eq!(&*watcher.first().unwrap().rules.id, "a.yaml=1");
    symlink("..v2", dir.path().join("..data_tmp")).unwrap();
    fs::rename(dir.path().join("..data_tmp"), dir.path().join("..data")).unwrap();
    assert_eq!(watcher.poll(), News::Same);
    assert_eq!(changed(watcher.poll()), "a.yaml=2");
}

/// As git-sync does it: the folder itself is a link to a worktree.
#[test]
fn a_folder_that_is_itself_a_link_is_followed_to_where_it_points_now() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "worktrees/one/a.yaml", "1");
    write(dir.path(), "worktrees/two/a.yaml", "2");
    let link = dir.path().join("current");
    symlink("worktrees/one", &link).unwrap();
    let mut watcher = Watcher::new(&link, compile);
    watcher.first().unwrap();
    fs::remove_file(&link).unwrap();
    symlink("worktrees/two", &link).unwrap();
    assert_eq!(watcher.poll(), News::Same);
    assert_eq!(changed(watcher.poll()), "a.yaml=2");
}

#[test]
fn the_commit_is_read_from_loose_packed_detached_and_worktree_heads() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = ("1".repeat(40), "2".repeat(40));
    write(dir.path(), "repo/.git/HEAD", "ref: refs/heads/main\n");
    write(dir.path(), "repo/.git/packed-refs", &format!("# pack-refs\n{one} refs/heads/main\n"));
    write(dir.path(), "repo/rules/a.yaml", "1");
    let rules = dir.path().join("repo/rules");
    assert_eq!(revision(&rules, &[]), Some(format!("{one}-dirty")));
    write(dir.path(), "repo/.git/refs/heads/main", &format!("{two}\n"));
    assert_eq!(revision(&rules, &[]), Some(format!("{two}-dirty")));
    write(dir.path(), "repo/.git/HEAD", &format!("{one}\n"));
    assert_eq!(revision(&rules, &[]), Some(format!("{one}-dirty")));
    write(dir.path(), "repo/.git/worktrees/w/HEAD", "ref: refs/heads/main\n");
    write(dir.path(), "repo/.git/worktrees/w/commondir", "../..\n");
    let gitdir = dir.path().join("repo/.git/worktrees/w");
    write(dir.path(), "w/.git", &format!("gitdir: {}\n", gitdir.display()));
    assert_eq!(revision(&dir.path().join("w"), &[]), Some(format!("{two}-dirty")));
    write(dir.path(), "repo/.git/HEAD", "garbage\n");
    assert_eq!(revision(&rules, &[]), None);
}

/// An index of version 2 with one file, as git writes it; the id is that of a text.
fn index_of(path: &str, id: &str, tree: &str) -> Vec<u8> {
    let mut bytes = b"DIRC\0\0\0\x02\0\0\0\x01".to_vec();
    let mut entry = vec![0_u8; 24];
    entry.extend(0o100_644_u32.to_be_bytes());
    entry.extend([0; 12]);
    entry.extend((0..20).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).unwrap()));
    entry.extend(u16::try_from(path.len()).unwrap().to_be_bytes());
    entry.extend(path.as_bytes());
    entry.extend(vec![0; 8 - entry.len() % 8]);
    bytes.extend(entry);
    let body = [
        format!("\0{tree} 1\n").as_bytes(),
        &[7; 20][..if tree == "-1" { 0 } else { 20 }],
        format!("rules\0{tree} 0\n").as_bytes(),
        &[8; 20][..if tree == "-1" { 0 } else { 20 }],
    ]
    .concat();
    bytes.extend(b"TREE");
    bytes.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes.extend([0; 20]);
    bytes
}

#[test]
fn files_that_are_not_the_commits_are_called_dirty() {
    let dir = tempfile::tempdir().unwrap();
    let commit = "1".repeat(40);
    write(dir.path(), ".git/HEAD", &commit);
    write(dir.path(), "rules/a.yaml", "hello\n");
    let rules = dir.path().join("rules");
    let now = || revision(&rules, &read_folder(&rules).unwrap()).unwrap();
    let dirty = format!("{commit}-dirty");
    assert_eq!(now(), dirty, "without an index nothing is known");
    // `git hash-object` of "hello" and a line's end.
    let hello = "ce013625030ba8dba906f756967f9e9ca394464a";
    let index = dir.path().join(".git/index");
    fs::write(&index, index_of("rules/a.yaml", hello, "1")).unwrap();
    assert_eq!(now(), commit);
    fs::write(&index, index_of("rules/a.yaml", hello, "-1")).unwrap();
    assert_eq!(now(), dirty, "added and not committed");
    fs::write(&index, index_of("rules/a.yaml", hello, "1")).unwrap();
    write(dir.path(), "rules/a.yaml", "hello, changed\n");
    assert_eq!(now(), dirty);
    write(dir.path(), "rules/a.yaml", "hello\n");
    write(dir.path(), "rules/b.yaml", "untracked\n");
    assert_eq!(now(), dirty);
    fs::rename(rules.join("b.yaml"), rules.join("a.yaml.bak")).unwrap();
    assert_eq!(now(), commit, "what is no rule file changes nothing");
    fs::write(&index, index_of("rules/gone.yaml", hello, "1")).unwrap();
    assert_eq!(now(), dirty);
    fs::write(&index, b"DIRC garbage").unwrap();
    assert_eq!(now(), dirty);
}
