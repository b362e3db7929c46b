//! Records that are made of several parts, each with its length before it.

use bytes::{Buf, Bytes};

/// Adds a part.
pub(crate) fn push(out: &mut Vec<u8>, part: &[u8]) {
    // Nothing that a server takes is that long; a length that is wrong is seen when the record is read.
    out.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(part);
}

/// Takes the next part; `None` if there is none, or not all of it.
pub(crate) fn take(rest: &mut Bytes) -> Option<Bytes> {
    let len = usize::try_from(rest.try_get_u32().ok()?).ok()?;
    (len <= rest.len()).then(|| rest.split_to(len))
}

/// As [`take`], if it is a text.
pub(crate) fn take_text(rest: &mut Bytes) -> Option<String> {
    String::from_utf8(take(rest)?.into()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_is_no_part() {
        let mut record = Vec::new();
        push(&mut record, "ä".as_bytes());
        push(&mut record, b"");
        let mut rest = Bytes::from(record.clone());
        assert_eq!(take_text(&mut rest).as_deref(), Some("ä"));
        assert_eq!((take(&mut rest), rest.len()), (Some(Bytes::new()), 0));
        assert_eq!(take(&mut rest), None);
        for len in 0..6 {
            assert_eq!(take(&mut Bytes::from(record[..len].to_vec())), None, "{len}");
        }
    }
}
