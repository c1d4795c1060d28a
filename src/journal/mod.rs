//! The journal: every change there was, in order, on disk before anyone is told.
//!
//! A folder of segments (`<first revision>.log`), each a preallocated file of frames; a frame holds
//! one group of changes with a checksum and the hash of the frame before it. `segments` lists the
//! segments, `acked` holds the newest acknowledged revision.
//!
//! Invariants:
//! 1. Revisions are 1, 2, 3, … without a gap, within a frame, from frame to frame and from segment
//!    to segment; each frame holds its predecessor's hash.
//! 2. When [`Journal::append`] has returned, the frame survives a power cut. While it runs, a crash
//!    leaves the whole frame or none.
//! 3. Only one frame is ever being written, at the end of the last segment. So an unreadable frame
//!    that is not the last one is damage, never a trace of a crash.
//! 4. An append that failed to sync is never tried again: what is on disk is unknown, and the
//!    process has to stop. See `recovery` for what the next start makes of it.

mod acked;
pub(crate) mod file;
mod frame;
mod group;
mod list;
mod reader;
mod recovery;
mod segment;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

pub use self::frame::FrameHash;
pub use self::group::{Group, GroupError};
pub use self::reader::Groups;
pub use self::recovery::LastStop;

use self::acked::{Acked, AckedFile, boot_id};
use self::frame::Frame;
use self::segment::{FRAMES_AT, SegmentHeader};
use crate::domain::{DirectoryId, Revision, Timestamp, Totals};

/// The file of the acknowledged mark.
const ACKED: &str = "acked";

/// The size of a segment unless a test wants another.
pub const SEGMENT_BYTES: u64 = 16 << 20;

/// Where the journal stands: what its last frame says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The last revision.
    pub revision: Revision,
    /// The hash of the last frame.
    pub hash: FrameHash,
    /// When the last change was made. Directory time never goes behind it.
    pub at: Timestamp,
    /// What the directory adds up to.
    pub totals: Totals,
}

impl Position {
    fn after(group: &Group, before: &Self, hash: FrameHash) -> Self {
        let last = group.changes.last();
        Self {
            revision: last.map_or(before.revision, |change| change.revision),
            hash,
            at: last.map_or(before.at, |change| change.at.max(before.at)),
            totals: group.totals,
        }
    }
}

/// A journal that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk answered with an error.
    #[error("the journal cannot be read or written: {0}")]
    Io(#[from] io::Error),
    /// Something that was written is not there any more.
    #[error("{0}")]
    Damaged(Damage),
}

/// Damage found in a file: it was altered after it was written.
#[derive(Debug, thiserror::Error)]
#[error("{} is damaged: {found}", path.display())]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub found: String,
}

fn damaged(path: &Path, found: impl Into<String>) -> JournalError {
    JournalError::Damaged(Damage { path: path.to_owned(), found: found.into() })
}

/// Why a group was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The volume has no room for another segment. Nothing was written; the journal stays usable.
    #[error("no room for another journal segment: {0}")]
    Full(#[source] io::Error),
    /// The disk refused to write or sync. What is on it is unknown: the process must stop.
    #[error("the journal could not be made durable: {0}")]
    Sync(#[source] io::Error),
}

/// The journal of an open directory. One writer has it.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    directory: DirectoryId,
    segment_bytes: u64,
    firsts: Vec<Revision>,
    head: File,
    head_bytes: u64,
    end: u64,
    boot: [u8; 16],
    position: Position,
    acked: AckedFile,
    /// The frame being encoded; kept so that its memory is reused.
    frame: Vec<u8>,
}

impl Journal {
    /// Creates the journal of a new directory, durably.
    ///
    /// # Errors
    ///
    /// When the disk refuses.
    pub fn create(dir: &Path, directory: DirectoryId, segment_bytes: u64) -> io::Result<Self> {
        recovery::create(dir, directory, segment_bytes)
    }

    /// Recovers and opens the journal in a folder, and says how the last run ended.
    ///
    /// When this returns, everything up to [`Journal::position`] is on disk.
    ///
    /// # Errors
    ///
    /// [`JournalError::Damaged`] if something that was acknowledged cannot be read. Nothing is
    /// changed then.
    pub fn recover(
        dir: &Path,
        directory: DirectoryId,
        segment_bytes: u64,
    ) -> Result<(Self, LastStop), JournalError> {
        recovery::recover(dir, directory, segment_bytes)
    }

    /// The directory that the segments in a folder say they belong to.
    pub fn directory_of(dir: &Path) -> Option<DirectoryId> {
        let firsts = segments_in(dir).ok()?;
        let header = reader::read_header(&segment::path_of(dir, *firsts.last()?)).ok()?;
        Some(header.directory)
    }

    /// The last revision of the journal in a folder, for a process that only reads it.
    ///
    /// # Errors
    ///
    /// As [`Groups`].
    pub fn last_revision(dir: &Path) -> Result<Revision, JournalError> {
        let Some(&first) = segments_in(dir)?.last() else {
            return Err(damaged(dir, "it holds no segment"));
        };
        let before = Revision::new(first.get() - 1);
        let mut last = before;
        for group in Groups::after(dir, before)? {
            last = group?.changes.last().map_or(last, |change| change.revision);
        }
        Ok(last)
    }

    /// The revision before the oldest change in a folder.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read or holds no segment.
    pub fn first_revision(dir: &Path) -> Result<Revision, JournalError> {
        match segments_in(dir)?.first() {
            Some(first) => Ok(Revision::new(first.get() - 1)),
            None => Err(damaged(dir, "it holds no segment")),
        }
    }

    /// Where the journal stands.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Appends one group and makes it durable, with one fdatasync.
    ///
    /// The frame is on disk when this returns; a crash at any moment before leaves all of it or no
    /// trace. The group's revisions must follow on from [`Journal::position`].
    ///
    /// # Errors
    ///
    /// [`AppendError::Full`]: nothing was written, the journal stays usable.
    /// [`AppendError::Sync`]: the process must stop and let recovery decide.
    pub fn append(&mut self, group: &Group) -> Result<(), AppendError> {
        debug_assert_eq!(
            group.changes.first().map(|change| change.revision),
            Some(self.position.revision.next()),
            "revisions have no gaps"
        );
        let mut frame = std::mem::take(&mut self.frame);
        let hash = Frame::encode(group, &self.position.hash, &mut frame);
        let appended = self.append_frame(&frame);
        self.frame = frame;
        appended?;
        self.position = Position::after(group, &self.position, hash);
        Ok(())
    }

    fn append_frame(&mut self, frame: &[u8]) -> Result<(), AppendError> {
        if self.end + frame.len() as u64 > self.head_bytes {
            self.begin_segment(frame.len() as u64)?;
        }
        self.head.write_all_at(frame, self.end).map_err(AppendError::Sync)?;
        self.head.sync_data().map_err(AppendError::Sync)?;
        self.end += frame.len() as u64;
        Ok(())
    }

    fn begin_segment(&mut self, frame_bytes: u64) -> Result<(), AppendError> {
        let header = SegmentHeader {
            directory: self.directory,
            bytes: self.segment_bytes.max(FRAMES_AT as u64 + frame_bytes),
            before: self.position.clone(),
        };
        let first = self.position.revision.next();
        let mut firsts = self.firsts.clone();
        // An empty head that is too small for a frame is replaced by a larger one.
        let replaces = firsts.last() == Some(&first);
        if !replaces {
            firsts.push(first);
        }
        let made = segment::create(&self.dir, &header, &[])
            .and_then(|head| list::write(&self.dir, &firsts).map(|()| head));
        let head = match made {
            Ok(head) => head,
            Err(error) if replaces => return Err(AppendError::Sync(error)),
            Err(error) => return Err(self.without_segment(first, error)),
        };
        self.firsts = firsts;
        self.head = head;
        self.head_bytes = header.bytes;
        self.end = FRAMES_AT as u64;
        Ok(())
    }

    /// Takes back a segment that was not listed, so that the present one can still be appended to: a
    /// start would take the new one for the end of the journal.
    fn without_segment(&self, first: Revision, error: io::Error) -> AppendError {
        let removed = match std::fs::remove_file(segment::path_of(&self.dir, first)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => file::sync_dir(&self.dir),
        };
        match removed {
            Ok(()) => refused(error),
            Err(error) => AppendError::Sync(error),
        }
    }

    /// Notes, durably, that everything up to here was recovered in this boot of the machine. Until
    /// then a start that is interrupted leaves the next one as careful as it was itself.
    ///
    /// # Errors
    ///
    /// When the disk refuses; the directory must not be served then.
    pub fn settle(&mut self) -> io::Result<()> {
        self.boot = boot_id();
        self.acked.write_durably(&self.mark(false))
    }

    /// Notes that everything appended is about to be acknowledged. Survives the end of the process.
    ///
    /// # Errors
    ///
    /// When the disk refuses; the process must stop.
    pub fn acknowledge(&self) -> io::Result<()> {
        self.acked.write(&self.mark(false))
    }

    /// Notes, durably, that the directory was closed in good order.
    ///
    /// # Errors
    ///
    /// When the disk refuses; the next start then recovers as after a crash.
    pub fn close(self) -> io::Result<()> {
        self.acked.write_durably(&self.mark(true))
    }

    fn mark(&self, clean: bool) -> Acked {
        let Position { revision, hash, .. } = self.position;
        Acked { revision, hash, clean, boot: self.boot }
    }
}

/// A full disk is no reason to stop; any other failure leaves an unknown state.
fn refused(error: io::Error) -> AppendError {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        AppendError::Full(error)
    } else {
        AppendError::Sync(error)
    }
}

/// The first revisions of the segments in a folder, in order.
fn segments_in(dir: &Path) -> io::Result<Vec<Revision>> {
    let mut firsts = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        firsts.extend(entry?.file_name().to_str().and_then(segment::first_revision));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// Whether a folder holds a journal with at least one change, whole or not.
///
/// # Errors
///
/// When the disk refuses.
pub fn holds_changes(dir: &Path) -> io::Result<bool> {
    let firsts = match segments_in(dir) {
        Ok(firsts) => firsts,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match firsts.as_slice() {
        [] => Ok(false),
        [first] if *first == Revision::ZERO.next() => {
            let bytes = std::fs::read(segment::path_of(dir, *first))?;
            Ok(bytes.iter().skip(FRAMES_AT).any(|byte| *byte != 0))
        }
        _ => Ok(true),
    }
}
