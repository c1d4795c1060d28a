//! Reads groups from a revision on, checking every link of the chain on the way.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::frame::{FRAME_HEADER_BYTES, Frame, FrameHash};
use super::group::GROUP_READ_MAX;
use super::segment::{self, FRAMES_AT, SegmentHeader};
use super::{Group, JournalError, damaged, segments_in};
use crate::domain::Revision;

/// The groups whose changes come after a revision, in order. Holds one frame in memory.
///
/// Ends where the journal ends. The first item may begin with changes up to that revision, if its
/// group holds later ones too.
#[derive(Debug)]
pub struct Groups {
    dir: PathBuf,
    /// The first revisions of the segments still to be opened, newest first.
    segments: Vec<Revision>,
    open: Option<OpenSegment>,
    after: Revision,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct OpenSegment {
    path: PathBuf,
    reader: BufReader<File>,
    offset: u64,
    size: u64,
    revision: Revision,
    hash: FrameHash,
}

impl Groups {
    /// Opens the journal in a folder for reading. It must not be written to meanwhile by another
    /// process.
    ///
    /// # Errors
    ///
    /// [`JournalError::Damaged`] if the journal does not reach back to the change after `after`.
    pub fn after(dir: &Path, after: Revision) -> Result<Self, JournalError> {
        let mut segments = segments_in(dir)?;
        let keep_from = segments.iter().rposition(|first| *first <= after.next());
        let Some(keep_from) = keep_from else {
            return Err(damaged(dir, format!("no segment holds revision {}", after.next())));
        };
        segments.drain(..keep_from);
        let mut directories = Vec::new();
        for first in &segments {
            let path = segment::path_of(dir, *first);
            let header = read_header(&path)?;
            directories.push(header.directory);
            if header.before.revision.next() != *first || directories[0] != header.directory {
                return Err(damaged(&path, "it is the segment of another place or directory"));
            }
        }
        segments.reverse();
        Ok(Self { dir: dir.to_owned(), segments, open: None, after, bytes: Vec::new() })
    }

    fn next_group(&mut self) -> Result<Option<Group>, JournalError> {
        loop {
            if let Some(open) = &mut self.open
                && let Some(group) = open.next_group(&mut self.bytes)?
            {
                if open.revision > self.after {
                    return Ok(Some(group));
                }
                continue;
            }
            let Some(first) = self.segments.pop() else { return Ok(None) };
            let next = OpenSegment::open(&self.dir, first)?;
            if let Some(open) = &self.open
                && (open.revision, open.hash) != (next.revision, next.hash)
            {
                let found =
                    format!("its frames end at revision {}, before the next", open.revision);
                return Err(damaged(&open.path, found));
            }
            self.open = Some(next);
        }
    }
}

impl Iterator for Groups {
    type Item = Result<Group, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_group().transpose()
    }
}

impl OpenSegment {
    fn open(dir: &Path, first: Revision) -> Result<Self, JournalError> {
        let path = segment::path_of(dir, first);
        let header = read_header(&path)?;
        let mut reader = BufReader::with_capacity(1 << 18, File::open(&path)?);
        reader.seek(SeekFrom::Start(FRAMES_AT as u64))?;
        Ok(Self {
            path,
            reader,
            offset: FRAMES_AT as u64,
            size: header.bytes,
            revision: header.before.revision,
            hash: header.before.hash,
        })
    }

    /// The next group, or `None` where the frames of this segment end.
    fn next_group(&mut self, bytes: &mut Vec<u8>) -> Result<Option<Group>, JournalError> {
        if self.offset + FRAME_HEADER_BYTES as u64 > self.size {
            return Ok(None);
        }
        bytes.resize(FRAME_HEADER_BYTES, 0);
        self.reader.read_exact(bytes)?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let length = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize;
        let padded = (FRAME_HEADER_BYTES + length).next_multiple_of(super::frame::FRAME_ALIGN);
        if length > GROUP_READ_MAX || self.offset + padded as u64 > self.size {
            return Err(self.damage("a frame of impossible length"));
        }
        bytes.resize(padded, 0);
        self.reader.read_exact(&mut bytes[FRAME_HEADER_BYTES..])?;
        let Some(frame) = Frame::find(bytes) else {
            return Err(self.damage("a frame that fails its checksum"));
        };
        if !frame.follows(self.revision, &self.hash) {
            return Err(self.damage("a frame that does not follow on from the one before"));
        }
        let group = frame.group().map_err(|error| self.damage(&error.to_string()))?;
        if group.changes.last().map(|change| change.revision) != Some(frame.last) {
            return Err(self.damage("a frame that miscounts its changes"));
        }
        (self.revision, self.hash) = (frame.last, frame.hash);
        self.offset += frame.bytes as u64;
        Ok(Some(group))
    }

    fn damage(&self, found: &str) -> JournalError {
        let after = self.revision;
        damaged(&self.path, format!("{found} at byte {}, after revision {after}", self.offset))
    }
}

/// Reads and checks the header of a segment and the size of its file.
pub(super) fn read_header(path: &Path) -> Result<SegmentHeader, JournalError> {
    let mut file = File::open(path)?;
    let mut block = Vec::new();
    (&mut file).take(FRAMES_AT as u64).read_to_end(&mut block)?;
    let Some(header) = SegmentHeader::decode(&block) else {
        return Err(damaged(path, "its header fails its checksum"));
    };
    let size = file.metadata()?.len();
    if size != header.bytes {
        let found = format!("it has {size} bytes where it was made with {}", header.bytes);
        return Err(damaged(path, found));
    }
    Ok(header)
}
