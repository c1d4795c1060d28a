//! A frame: one group with its checksum and its link to the frame before.
//!
//! ```text
//! 0   u32  magic
//! 4   u32  crc32c of everything after this field, payload included
//! 8   u32  length of the payload
//! 12  u32  number of changes
//! 16  u64  revision of the first change
//! 24  [32] hash of the previous frame, or of the segment's predecessor
//! 56       payload: the group, then zeros up to a multiple of 8
//! ```
//!
//! The hash of a frame is BLAKE3 over all of it but the padding, so it covers, through the link,
//! every change that ever was.

use super::group::{GROUP_BYTES_MAX, GROUP_READ_MAX, Group, GroupError};
use crate::domain::Revision;

/// The hash of a frame.
pub type FrameHash = [u8; 32];

/// What a frame takes beside its payload.
pub(super) const FRAME_HEADER_BYTES: usize = 56;

/// Frames begin at multiples of this.
pub(super) const FRAME_ALIGN: usize = 8;

const MAGIC: u32 = u32::from_le_bytes(*b"RFrm");

/// A frame found in bytes, checksum verified.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    /// The revision of the first change.
    pub(super) first: Revision,
    /// The revision of the last change.
    pub(super) last: Revision,
    /// The link to the frame before.
    pub(super) previous: FrameHash,
    /// The hash of this frame.
    pub(super) hash: FrameHash,
    /// How many bytes it takes, padding included.
    pub(super) bytes: usize,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Encodes a group into `bytes`, which are cleared first, and returns the frame's hash.
    ///
    /// # Panics
    ///
    /// If the group is larger than one that would be read again; nothing is written then.
    pub(super) fn encode(group: &Group, previous: &FrameHash, bytes: &mut Vec<u8>) -> FrameHash {
        bytes.clear();
        bytes.resize(FRAME_HEADER_BYTES, 0);
        group.encode(bytes);
        let first = group.changes.first().map_or(Revision::ZERO, |change| change.revision);
        let length = bytes.len() - FRAME_HEADER_BYTES;
        assert!(length <= GROUP_BYTES_MAX, "the writer bounds a group");
        bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[8..12].copy_from_slice(&as_u32(length).to_le_bytes());
        bytes[12..16].copy_from_slice(&as_u32(group.changes.len()).to_le_bytes());
        bytes[16..24].copy_from_slice(&first.get().to_le_bytes());
        bytes[24..56].copy_from_slice(previous);
        let crc = crc32c::crc32c(&bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        let hash = *blake3::hash(bytes).as_bytes();
        bytes.resize(bytes.len().next_multiple_of(FRAME_ALIGN), 0);
        hash
    }

    /// The frame at the beginning of `bytes`, if there is one that is whole.
    pub(super) fn find(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.get(..FRAME_HEADER_BYTES)?;
        let length = u32_at(header, 8) as usize;
        if u32_at(header, 0) != MAGIC || length > GROUP_READ_MAX {
            return None;
        }
        let whole = bytes.get(..FRAME_HEADER_BYTES + length)?;
        if crc32c::crc32c(&whole[8..]) != u32_at(header, 4) {
            return None;
        }
        let first = u64::from_le_bytes(header[16..24].try_into().ok()?);
        let last = first.checked_add(u64::from(u32_at(header, 12)).checked_sub(1)?)?;
        Some(Self {
            first: Revision::new(first),
            last: Revision::new(last),
            previous: header[24..56].try_into().ok()?,
            hash: *blake3::hash(whole).as_bytes(),
            bytes: whole.len().next_multiple_of(FRAME_ALIGN),
            payload: &whole[FRAME_HEADER_BYTES..],
        })
    }

    /// Whether this frame follows on from a frame with this hash and last revision.
    pub(super) fn follows(&self, revision: Revision, hash: &FrameHash) -> bool {
        self.first == revision.next() && self.previous == *hash
    }

    /// The group in it.
    pub(super) fn group(&self) -> Result<Group, GroupError> {
        Group::decode(self.payload)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[allow(clippy::expect_used)]
fn as_u32(length: usize) -> u32 {
    u32::try_from(length).expect("the writer bounds a group far below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Actor, Change, ChangeKind, Timestamp, Totals};

    fn group(first: u64, changes: u64) -> Group {
        let change = |revision| Change {
            revision: Revision::new(revision),
            at: Timestamp::default(),
            actor: Actor::anonymous(),
            kind: ChangeKind::Upkeep,
            edits: Vec::new(),
        };
        Group { changes: (first..first + changes).map(change).collect(), totals: Totals::default() }
    }

    #[test]
    fn a_frame_is_found_as_it_was_written() {
        let mut bytes = Vec::new();
        let hash = Frame::encode(&group(5, 3), &[9; 32], &mut bytes);
        assert_eq!(bytes.len() % FRAME_ALIGN, 0);
        let frame = Frame::find(&bytes).unwrap();
        assert!(frame.follows(Revision::new(4), &[9; 32]));
        assert!(!frame.follows(Revision::new(5), &[9; 32]));
        assert!(!frame.follows(Revision::new(4), &[8; 32]));
        assert_eq!((frame.last.get(), frame.hash, frame.bytes), (7, hash, bytes.len()));
        assert_eq!(frame.group().unwrap(), group(5, 3));
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_noticed() {
        let mut bytes = Vec::new();
        Frame::encode(&group(1, 2), &[0; 32], &mut bytes);
        let frame = Frame::find(&bytes).unwrap();
        let whole = FRAME_HEADER_BYTES + frame.payload.len();
        for bit in 0..whole * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Frame::find(&damaged).is_none(), "bit {bit}");
        }
        for cut in 0..whole {
            assert!(Frame::find(&bytes[..cut]).is_none(), "cut {cut}");
        }
    }
}
