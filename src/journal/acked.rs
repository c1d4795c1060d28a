//! The acknowledged mark: the newest revision that a caller was told of.
//!
//! Written before every answer, without a sync: it survives the end of the process, which is what
//! tells a frame damaged after the fact from a frame whose writing never ended. After a power cut it
//! may be older than the truth; then only frames that are whole count.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::file;
use super::frame::FrameHash;
use crate::domain::Revision;

const BYTES: usize = 72;
const MAGIC: &[u8; 8] = b"RsAcked1";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Acked {
    pub(super) revision: Revision,
    pub(super) hash: FrameHash,
    /// The directory was closed in good order and nothing was written since.
    pub(super) clean: bool,
    /// Which boot of the machine wrote it.
    pub(super) boot: [u8; 16],
}

/// The file, open for writing.
#[derive(Debug)]
pub(super) struct AckedFile(File);

impl Acked {
    /// Reads the mark; `None` if it is missing or damaged.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Self::decode(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[0..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&self.revision.get().to_le_bytes());
        bytes[16..48].copy_from_slice(&self.hash);
        bytes[48..64].copy_from_slice(&self.boot);
        bytes[64] = u8::from(self.clean);
        let crc = crc32c::crc32c(&bytes[..68]);
        bytes[68..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
        let crc = u32::from_le_bytes(bytes[68..].try_into().ok()?);
        if &bytes[0..8] != MAGIC || crc32c::crc32c(&bytes[..68]) != crc {
            return None;
        }
        Some(Self {
            revision: Revision::new(u64::from_le_bytes(bytes[8..16].try_into().ok()?)),
            hash: bytes[16..48].try_into().ok()?,
            boot: bytes[48..64].try_into().ok()?,
            clean: bytes[64] == 1,
        })
    }
}

impl AckedFile {
    /// Replaces the file by this mark, durably.
    pub(super) fn create(path: &Path, acked: &Acked) -> io::Result<Self> {
        file::replace(path, &acked.encode())?;
        Ok(Self(File::options().write(true).open(path)?))
    }

    /// Writes the mark where it survives the end of the process.
    pub(super) fn write(&self, acked: &Acked) -> io::Result<()> {
        self.0.write_all_at(&acked.encode(), 0)
    }

    /// Writes the mark where it survives a power cut.
    pub(super) fn write_durably(&self, acked: &Acked) -> io::Result<()> {
        self.write(acked)?;
        self.0.sync_data()
    }
}

/// Names the present boot of this machine; zeros where that cannot be known, which reads as a
/// reboot since then.
pub(super) fn boot_id() -> [u8; 16] {
    std::fs::read_to_string(BOOT_ID)
        .ok()
        .and_then(|text| uuid::Uuid::parse_str(text.trim()).ok())
        .map_or([0; 16], uuid::Uuid::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_reads_back_and_notices_damage() {
        let acked =
            Acked { revision: Revision::new(7), hash: [3; 32], clean: true, boot: boot_id() };
        let bytes = acked.encode();
        assert_eq!(Acked::decode(&bytes), Some(acked));
        for bit in 0..BYTES * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Acked::decode(&damaged), None, "bit {bit}");
        }
        assert_eq!(Acked::decode(&bytes[..BYTES - 1]), None);
    }
}
