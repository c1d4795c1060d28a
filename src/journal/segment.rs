//! A segment: a preallocated file of fixed size that frames are appended to.
//!
//! It begins with a block of 4 KiB that holds its header: which directory it belongs to, where it
//! begins, and what the directory added up to before it, so that a segment can be read without the
//! ones before. The fixed size betrays a truncated one. The rest is zeros until frames fill it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bincode::{BorrowDecode, Encode};
use rustix::fs::FallocateFlags;

use super::Position;
use super::file;
use super::frame::FrameHash;
use super::group::{TallyV1, decode_totals, encode_totals};
use crate::domain::{DirectoryId, Revision, Timestamp};

/// Where the frames of a segment begin.
pub(super) const FRAMES_AT: usize = 4096;

const MAGIC: &[u8; 8] = b"RsSegmt1";

/// What a segment says of itself.
#[derive(Clone, Debug)]
pub(super) struct SegmentHeader {
    pub(super) directory: DirectoryId,
    /// The size of the whole file.
    pub(super) bytes: u64,
    /// Where the journal stood before the segment's first frame.
    pub(super) before: Position,
}

#[derive(Encode, BorrowDecode)]
struct HeaderV1 {
    directory: [u8; 16],
    bytes: u64,
    revision: u64,
    hash: FrameHash,
    at: i64,
    totals: [TallyV1; 3],
}

impl SegmentHeader {
    fn encode(&self) -> Vec<u8> {
        let header = HeaderV1 {
            directory: *self.directory.as_bytes(),
            bytes: self.bytes,
            revision: self.before.revision.get(),
            hash: self.before.hash,
            at: self.before.at.micros(),
            totals: encode_totals(&self.before.totals),
        };
        let mut block = MAGIC.to_vec();
        #[allow(clippy::expect_used)]
        bincode::encode_into_std_write(header, &mut block, bincode::config::standard())
            .expect("writing to a Vec does not fail");
        block.resize(FRAMES_AT - 4, 0);
        let crc = crc32c::crc32c(&block);
        block.extend(crc.to_le_bytes());
        block
    }

    /// Reads the header of a segment; `None` if it is damaged.
    pub(super) fn decode(block: &[u8]) -> Option<Self> {
        let (content, crc) = block.split_last_chunk::<4>()?;
        if !content.starts_with(MAGIC) || crc32c::crc32c(content) != u32::from_le_bytes(*crc) {
            return None;
        }
        let (header, _): (HeaderV1, usize) = bincode::borrow_decode_from_slice(
            &content[MAGIC.len()..],
            bincode::config::standard().with_limit::<FRAMES_AT>(),
        )
        .ok()?;
        Some(Self {
            directory: DirectoryId::new(uuid::Uuid::from_bytes(header.directory)),
            bytes: header.bytes,
            before: Position {
                revision: Revision::new(header.revision),
                hash: header.hash,
                at: Timestamp::from_micros(header.at),
                totals: decode_totals(header.totals),
            },
        })
    }
}

/// The name of the segment whose first change has this revision.
pub(super) fn path_of(dir: &Path, first: Revision) -> PathBuf {
    dir.join(format!("{:020}.log", first.get()))
}

/// The revision that a file name says, if it is a segment's.
pub(super) fn first_revision(name: &str) -> Option<Revision> {
    let digits = name.strip_suffix(".log").filter(|digits| digits.len() == 20)?;
    digits.parse().ok().map(Revision::new)
}

/// Creates a segment that holds these frames, durably, in the place of one of the same name.
///
/// Nothing of it is visible under its name before all of it is on disk.
pub(super) fn create(dir: &Path, header: &SegmentHeader, frames: &[u8]) -> io::Result<File> {
    let path = path_of(dir, header.before.revision.next());
    let temporary = file::temporary(&path);
    let made = fill(&temporary, header, frames).and_then(|file| {
        file::publish(&temporary, &path)?;
        Ok(file)
    });
    if made.is_err() {
        // On a full disk the space must come back; any other reason is reported by `made`.
        let _ = std::fs::remove_file(&temporary);
    }
    made
}

fn fill(path: &Path, header: &SegmentHeader, frames: &[u8]) -> io::Result<File> {
    let file = file::create_private(path)?;
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, header.bytes) {
        Ok(()) => {}
        // A filesystem without the call: appends may then meet a full disk, which is fatal.
        Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(header.bytes)?,
        Err(error) => return Err(error.into()),
    }
    file.write_all_at(&header.encode(), 0)?;
    file.write_all_at(frames, FRAMES_AT as u64)?;
    file.sync_all()?;
    Ok(file)
}
