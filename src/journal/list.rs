//! The list of segments, which betrays a deleted one.
//!
//! Text: a title, a line for each segment with the revision of its first change, and a checksum. A
//! segment is created before it is listed and listed before it is written to.

use std::io;
use std::path::{Path, PathBuf};

use super::file;
use crate::domain::Revision;

const TITLE: &str = "rosterd journal 1";

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("segments")
}

/// Replaces the list, durably.
pub(super) fn write(dir: &Path, firsts: &[Revision]) -> io::Result<()> {
    file::replace(&path(dir), encode(firsts).as_bytes())
}

/// Reads the list; `None` if it is missing or damaged, and must be made anew from the files.
pub(super) fn read(dir: &Path) -> io::Result<Option<Vec<Revision>>> {
    match std::fs::read(path(dir)) {
        Ok(bytes) => Ok(String::from_utf8(bytes).ok().and_then(|text| decode(&text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn encode(firsts: &[Revision]) -> String {
    let mut text = format!("{TITLE}\n");
    for first in firsts {
        text.push_str(&format!("{first}\n"));
    }
    let crc = crc32c::crc32c(text.as_bytes());
    text + &format!("crc32c {crc:08x}\n")
}

fn decode(text: &str) -> Option<Vec<Revision>> {
    let (content, crc) = text.split_once("crc32c ")?;
    if format!("{:08x}\n", crc32c::crc32c(content.as_bytes())) != crc {
        return None;
    }
    let lines = content.strip_prefix(TITLE)?.split_whitespace();
    lines.map(|line| line.parse().ok().map(Revision::new)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back_and_notices_damage() {
        for firsts in [vec![], vec![Revision::new(1), Revision::new(51_234)]] {
            let text = encode(&firsts);
            assert_eq!(decode(&text), Some(firsts));
            for cut in 0..text.len() {
                assert_eq!(decode(&text[..cut]), None);
            }
        }
        assert_eq!(decode(&encode(&[Revision::new(1)]).replace("\n1\n", "\n2\n")), None);
    }
}
