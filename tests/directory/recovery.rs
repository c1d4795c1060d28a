//! What a start makes of files that a crash or somebody left: all acknowledged users, or a refusal
//! that names the file. Never a directory that is silently another.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rosterd::directory::OpenError;
use rosterd::journal::{Journal, LastStop};

use super::support::*;

/// A directory of 300 users over several segments, as a crash leaves it, with the list of users.
struct Crashed {
    dir: tempfile::TempDir,
    users: Vec<rosterd::domain::User>,
}

fn crashed() -> Crashed {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    for n in 0..300 {
        create(&directory, &format!("user{n}@example.org")).unwrap();
    }
    let crashed = Crashed { dir: crash_copy(dir.path()), users: everybody(&directory) };
    close(directory, dir.path());
    assert!(segments(crashed.dir.path()).len() > 1);
    crashed
}

fn closed() -> Crashed {
    let crashed = crashed();
    close(open(crashed.dir.path()), crashed.dir.path());
    crashed
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut segments: Vec<_> = fs::read_dir(dir.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    segments.sort();
    segments
}

fn last_segment(dir: &Path) -> PathBuf {
    segments(dir).pop().unwrap()
}

/// Where the frames of a segment end.
fn end_of_frames(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1
}

fn alter(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[track_caller]
fn all_are_there(crashed: &Crashed) {
    let directory = open(crashed.dir.path());
    assert_eq!(everybody(&directory), crashed.users);
    create(&directory, "one-more@example.org").unwrap();
    assert_eq!(close(directory, crashed.dir.path()).get(), 301);
}

#[track_caller]
fn refused(crashed: &Crashed, file: &str) {
    let before = fingerprint(crashed.dir.path());
    let error = match try_open(crashed.dir.path()) {
        Ok(directory) => panic!("opened with {} users", everybody(&directory).len()),
        Err(error) => error.to_string(),
    };
    assert!(error.contains(file), "{error:?} does not name {file}");
    assert_eq!(fingerprint(crashed.dir.path()), before, "a refusal changes nothing");
}

/// The files of the journal and their digests.
fn fingerprint(dir: &Path) -> Vec<(PathBuf, blake3::Hash)> {
    let mut files: Vec<_> = fs::read_dir(dir.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), blake3::hash(&fs::read(path).unwrap())))
        .collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files
}

#[test]
fn after_a_crash_everyone_is_there() {
    all_are_there(&crashed());
}

#[test]
fn after_a_clean_stop_everyone_is_there() {
    all_are_there(&closed());
}

#[test]
fn a_torn_tail_is_dropped() {
    for garbage in [b"RFrm".as_slice(), &[7; 3000]] {
        let crashed = crashed();
        alter(&last_segment(crashed.dir.path()), |bytes| {
            let end = end_of_frames(bytes).next_multiple_of(8);
            bytes[end..end + garbage.len()].copy_from_slice(garbage);
        });
        all_are_there(&crashed);
    }
}

#[test]
fn an_acknowledged_frame_that_is_damaged_is_refused() {
    for crashed in [crashed(), closed()] {
        let last = last_segment(crashed.dir.path());
        alter(&last, |bytes| {
            let end = end_of_frames(bytes);
            bytes[end - 30] ^= 1;
        });
        refused(&crashed, last.file_name().unwrap().to_str().unwrap());
    }
}

#[test]
fn a_damaged_frame_before_whole_ones_is_refused() {
    let crashed = crashed();
    // Without the acknowledged mark only the frames further on tell.
    fs::remove_file(crashed.dir.path().join("journal/acked")).unwrap();
    let last = last_segment(crashed.dir.path());
    alter(&last, |bytes| bytes[4096 + 100] ^= 1);
    refused(&crashed, last.file_name().unwrap().to_str().unwrap());
}

#[test]
fn a_truncated_or_deleted_segment_is_refused() {
    for which in [0, 1] {
        let truncated = crashed();
        let segment = segments(truncated.dir.path()).swap_remove(which);
        alter(&segment, |bytes| bytes.truncate(9000));
        // The one that is not the last is met when the keyspace has to be built from it.
        fs::remove_dir_all(truncated.dir.path().join("keyspace")).unwrap();
        refused(&truncated, segment.file_name().unwrap().to_str().unwrap());
    }
    let deleted = crashed();
    let last = last_segment(deleted.dir.path());
    fs::remove_file(&last).unwrap();
    refused(&deleted, last.file_name().unwrap().to_str().unwrap());
}

#[test]
fn a_journal_that_lost_its_end_is_noticed_by_the_keyspace() {
    let crashed = closed();
    let old = tempfile::tempdir().unwrap();
    copy_folder(&crashed.dir.path().join("journal"), old.path());
    let directory = open(crashed.dir.path());
    create(&directory, "one-more@example.org").unwrap();
    close(directory, crashed.dir.path());
    copy_folder(old.path(), &crashed.dir.path().join("journal"));
    let error = try_open(crashed.dir.path()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("the journal ends at 300"), "{error}");
}

#[test]
fn a_keyspace_that_is_gone_damaged_or_suspect_is_rebuilt() {
    let gone = crashed();
    fs::remove_dir_all(gone.dir.path().join("keyspace")).unwrap();
    all_are_there(&gone);

    let suspect = closed();
    fs::write(suspect.dir.path().join("suspect"), "for a test").unwrap();
    all_are_there(&suspect);
    assert!(suspect.dir.path().join("keyspace.suspect").exists(), "the old one is kept");
    assert!(!suspect.dir.path().join("suspect").exists());

    for damage in [0x55, 0] {
        let damaged = closed();
        // Without its mark, the stop passes for an unclean one.
        fs::remove_file(damaged.dir.path().join("journal/acked")).unwrap();
        damage_keyspace(&damaged, damage);
        all_are_there(&damaged);
    }
}

#[test]
fn a_keyspace_damaged_after_a_clean_stop_is_rebuilt_by_the_next_start_but_one() {
    let damaged = closed();
    damage_keyspace(&damaged, 0x55);
    // The serving process met the damage itself, and must not go on.
    let error = try_open(damaged.dir.path()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("start again"), "{error}");
    all_are_there(&damaged);
}

fn damage_keyspace(crashed: &Crashed, damage: u8) {
    alter(&crashed.dir.path().join("keyspace/db"), |bytes| {
        let middle = bytes.len() / 4;
        bytes[64..middle].fill(damage);
    });
}

#[test]
fn small_files_that_are_gone_or_damaged_are_made_anew_or_refused() {
    for file in ["FORMAT", "journal/segments", "journal/acked", "LOCK"] {
        for crashed in [crashed(), closed()] {
            fs::remove_file(crashed.dir.path().join(file)).unwrap();
            all_are_there(&crashed);
        }
        let crashed = crashed();
        alter(&crashed.dir.path().join(file), |bytes| {
            let last = bytes.len() - 2;
            bytes[last] ^= 4;
        });
        all_are_there(&crashed);
    }
    let crashed = crashed();
    fs::remove_file(crashed.dir.path().join("keys/request.key")).unwrap();
    refused(&crashed, "request.key");
    fs::write(crashed.dir.path().join("keys/request.key"), "").unwrap();
    all_are_there(&crashed);
}

#[test]
fn a_lost_journal_is_never_taken_for_a_new_directory() {
    let crashed = closed();
    fs::remove_dir_all(crashed.dir.path().join("journal")).unwrap();
    let error = try_open(crashed.dir.path()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("journal"), "{error}");
    fs::remove_file(crashed.dir.path().join("FORMAT")).unwrap();
    let error = try_open(crashed.dir.path()).map(|_| ()).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

#[test]
fn a_segment_of_another_directory_is_refused() {
    let (one, other) = (closed(), closed());
    for segment in segments(one.dir.path()) {
        fs::remove_file(segment).unwrap();
    }
    copy_folder(&other.dir.path().join("journal"), &one.dir.path().join("journal"));
    refused(&one, "journal");
}

/// A start that is interrupted before the keyspace was verified must not spare the next start the
/// verification.
#[test]
fn a_reboot_is_remembered_until_the_directory_was_recovered() {
    let crashed = crashed();
    let journal = crashed.dir.path().join("journal");
    fs::remove_file(journal.join("acked")).unwrap();
    let id = Journal::directory_of(&journal).unwrap();
    let recover = || Journal::recover(&journal, id, SEGMENT_BYTES).unwrap();
    assert_eq!(recover().1, LastStop::Rebooted);
    let (mut recovered, stop) = recover();
    assert_eq!(stop, LastStop::Rebooted);
    recovered.settle().unwrap();
    drop(recovered);
    assert_eq!(recover().1, LastStop::Killed);
    all_are_there(&crashed);
}

#[test]
fn a_removed_lock_file_lets_nobody_in() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    fs::remove_file(dir.path().join("LOCK")).unwrap();
    assert!(matches!(try_open(dir.path()), Err(OpenError::Locked { .. })));
    close(directory, dir.path());
}

#[test]
fn a_directory_dropped_without_closing_is_recovered() {
    let dir = tempfile::tempdir().unwrap();
    let user = create(&open(dir.path()), "ada@example.org").unwrap();
    let directory = loop {
        // Its threads have the lock until they have ended.
        match try_open(dir.path()) {
            Err(OpenError::Locked { .. }) => std::thread::yield_now(),
            opened => break opened.unwrap(),
        }
    };
    assert_eq!(everybody(&directory), [user]);
    close(directory, dir.path());
}

#[test]
fn nobody_else_may_look_into_a_directory_even_in_a_folder_that_is_open_to_all() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    close(open(dir.path()), dir.path());
    for folder in ["journal", "keyspace", "keys"] {
        let mode = fs::metadata(dir.path().join(folder)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{folder}");
    }
}

#[test]
fn a_second_opening_is_refused_and_names_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    let error = try_open(dir.path()).map(|_| ()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }));
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    close(directory, dir.path());
}

#[test]
fn an_interrupted_creation_is_begun_anew() {
    for keep in [vec![], vec!["keys"], vec!["keys", "journal"]] {
        let dir = tempfile::tempdir().unwrap();
        close(open(dir.path()), dir.path());
        for entry in ["FORMAT", "keys", "journal", "keyspace"] {
            let path = dir.path().join(entry);
            if keep.contains(&entry) {
                continue;
            }
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        }
        let directory = open(dir.path());
        create(&directory, "ada@example.org").unwrap();
        close(directory, dir.path());
    }
}
