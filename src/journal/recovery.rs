//! What a start makes of the journal that the last run left.
//!
//! Only the last segment can have an unfinished end. In it:
//!
//! - Frames are valid while they follow on from each other. What comes after them is zeros (nothing
//!   was being written), or a torn tail (something was, and nobody was told that it is done): it is
//!   dropped.
//! - A valid frame further on, or an end below the acknowledged mark, is damage: something that was
//!   acknowledged is gone, and the start is refused.
//! - After an unclean stop the valid frames may stand in the page cache only, where a second
//!   fdatasync can claim success for pages that never reached the disk. They are copied to a new
//!   file, which is synced, before anybody relies on them.

use std::io;
use std::path::Path;

use super::acked::{Acked, AckedFile, boot_id};
use super::frame::{FRAME_ALIGN, Frame};
use super::reader::read_header;
use super::segment::{self, FRAMES_AT, SegmentHeader};
use super::{Journal, JournalError, Position, damaged, file, list, segments_in};
use crate::domain::{DirectoryId, Revision};

/// How the last run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastStop {
    /// In good order.
    Clean,
    /// The process ended without closing the directory.
    Killed,
    /// As [`LastStop::Killed`], and the machine has booted since, so that what was not synced is
    /// gone.
    Rebooted,
}

/// Where the valid frames of a segment end.
struct Scan {
    position: Position,
    end: usize,
    torn: bool,
}

/// Recovers the journal in a folder and opens it for appending.
pub(super) fn recover(
    dir: &Path,
    directory: DirectoryId,
    segment_bytes: u64,
) -> Result<(Journal, LastStop), JournalError> {
    let firsts = listed_segments(dir)?;
    let Some(&first) = firsts.last() else {
        return Err(damaged(dir, "it holds no segment"));
    };
    let path = segment::path_of(dir, first);
    let header = read_header(&path)?;
    if header.directory != directory {
        let found = format!("it belongs to directory {}, not to {directory}", header.directory);
        return Err(damaged(&path, found));
    }
    let bytes = std::fs::read(&path)?;
    let acked = Acked::read(&dir.join(super::ACKED))?;
    if acked.is_none() {
        tracing::warn!(
            "journal/acked is missing or damaged; the end of the journal is taken as is"
        );
    }
    let scan = scan(&path, &header, &bytes, acked.as_ref())?;
    let stop = last_stop(acked.as_ref(), &scan);
    remove_unfinished(dir)?;
    let head = if stop == LastStop::Clean {
        std::fs::OpenOptions::new().read(true).write(true).open(&path)?
    } else {
        tracing::info!(
            revision = %scan.position.revision,
            dropped_torn_tail = scan.torn,
            "the last run did not close the journal; its last segment is made durable anew"
        );
        segment::create(dir, &header, &bytes[FRAMES_AT..scan.end])?
    };
    list::write(dir, &firsts)?;
    let boot = acked.map_or([0; 16], |acked| acked.boot);
    let Position { revision, hash, .. } = scan.position;
    let mark = Acked { revision, hash, clean: false, boot };
    let acked = AckedFile::create(&dir.join(super::ACKED), &mark)?;
    let journal = Journal {
        dir: dir.to_owned(),
        directory,
        segment_bytes,
        firsts,
        head,
        head_bytes: header.bytes,
        end: scan.end as u64,
        boot,
        position: scan.position,
        acked,
        frame: Vec::new(),
    };
    Ok((journal, stop))
}

/// Removes files whose writing a crash interrupted before they had their name.
fn remove_unfinished(dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The segments there are, checked against the list of those there should be.
fn listed_segments(dir: &Path) -> Result<Vec<Revision>, JournalError> {
    let found = match segments_in(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(damaged(dir, "it is gone"));
        }
        found => found?,
    };
    match list::read(dir)? {
        Some(listed) => {
            if let Some(missing) = listed.iter().find(|first| !found.contains(first)) {
                return Err(damaged(&segment::path_of(dir, *missing), "it is gone"));
            }
        }
        None => tracing::warn!("journal/segments is missing or damaged; it is made anew"),
    }
    Ok(found)
}

fn last_stop(acked: Option<&Acked>, scan: &Scan) -> LastStop {
    match acked {
        Some(acked) if acked.clean && !scan.torn && acked.revision == scan.position.revision => {
            LastStop::Clean
        }
        Some(acked) if acked.boot == boot_id() && acked.boot != [0; 16] => LastStop::Killed,
        _ => LastStop::Rebooted,
    }
}

fn scan(
    path: &Path,
    header: &SegmentHeader,
    bytes: &[u8],
    acked: Option<&Acked>,
) -> Result<Scan, JournalError> {
    let mut position = header.before.clone();
    let mut end = FRAMES_AT;
    let mut met_acked = acked.is_none_or(|acked| acked.revision <= position.revision);
    while let Some(frame) = bytes.get(end..).and_then(Frame::find) {
        if !frame.follows(position.revision, &position.hash) {
            return Err(damaged(path, format!("the frame at byte {end} breaks the chain")));
        }
        let group = frame
            .group()
            .map_err(|error| damaged(path, format!("the frame at byte {end}: {error}")))?;
        position = Position::after(&group, &position, frame.hash);
        end += frame.bytes;
        met_acked |= acked.is_some_and(|acked| {
            acked.revision == position.revision && acked.hash == position.hash
        });
    }
    if !met_acked {
        let acked = acked.map_or(Revision::ZERO, |acked| acked.revision);
        return Err(damaged(
            path,
            format!(
                "its frames end at byte {end} with revision {}, but revision {acked} was \
                 acknowledged",
                position.revision
            ),
        ));
    }
    let tail = &bytes[end.min(bytes.len())..];
    let torn = tail.iter().any(|byte| *byte != 0);
    if torn && let Some(at) = frame_beyond(tail, position.revision) {
        let found = format!("a damaged frame at byte {end}, before a whole one at {}", end + at);
        return Err(damaged(path, found));
    }
    Ok(Scan { position, end, torn })
}

/// Where, after what cannot be read, a whole frame of a later revision begins.
fn frame_beyond(tail: &[u8], revision: Revision) -> Option<usize> {
    (0..tail.len())
        .step_by(FRAME_ALIGN)
        .find(|at| Frame::find(&tail[*at..]).is_some_and(|frame| frame.first > revision))
}

/// Creates the journal of a new directory.
pub(super) fn create(
    dir: &Path,
    directory: DirectoryId,
    segment_bytes: u64,
) -> io::Result<Journal> {
    file::create_private_dir(dir)?;
    let header = SegmentHeader { directory, bytes: segment_bytes, before: Position::default() };
    let head = segment::create(dir, &header, &[])?;
    let firsts = vec![Revision::ZERO.next()];
    list::write(dir, &firsts)?;
    let mark = Acked { revision: Revision::ZERO, hash: [0; 32], clean: false, boot: boot_id() };
    let acked = AckedFile::create(&dir.join(super::ACKED), &mark)?;
    Ok(Journal {
        dir: dir.to_owned(),
        directory,
        segment_bytes,
        firsts,
        head,
        head_bytes: segment_bytes,
        end: FRAMES_AT as u64,
        boot: boot_id(),
        position: header.before,
        acked,
        frame: Vec::new(),
    })
}
