//! What stands between the database and its file: a bound for the file's size, and a view that writes nothing.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ::redb::{BackendError, StorageBackend};

/// The locks are the file's own in both views.
macro_rules! locks {
    () => {
        fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
            self.inner.try_lock_range(start, end)
        }

        fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
            self.inner.try_lock_shared_range(start, end)
        }

        fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
            self.inner.lock_range(start, end)
        }

        fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
            self.inner.lock_shared_range(start, end)
        }

        fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
            self.inner.unlock_range(start, end)
        }

        fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
            self.inner.query_lock_range(start, end)
        }
    };
}

/// The file, which does not grow beyond `bound`.
#[derive(Debug)]
pub(super) struct Bounded {
    inner: Box<dyn StorageBackend>,
    bound: Arc<AtomicU64>,
    /// Whether a blank file may become an empty one: asked once, when the database first asks for the length. It holds
    /// its lock then, so that no file is cut which another process is just making.
    may_clear: AtomicBool,
}

impl Bounded {
    pub(super) fn new(inner: Box<dyn StorageBackend>, bound: Arc<AtomicU64>) -> Self {
        Self { inner, bound, may_clear: AtomicBool::new(true) }
    }
}

impl StorageBackend for Bounded {
    fn len(&self) -> io::Result<u64> {
        if self.may_clear.swap(false, Ordering::Relaxed) && is_blank(&*self.inner)? {
            self.inner.set_len(0)?;
        }
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let bound = self.bound.load(Ordering::Relaxed);
        if len > bound && len > self.inner.len()? {
            let text = format!("it would need {len} bytes and its limit is {bound}");
            return Err(io::Error::new(io::ErrorKind::StorageFull, text));
        }
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    locks!();
}

/// A view of the file that keeps what is written to itself. It stays locked until [`release`](Self::release), also when
/// the database is closed before.
#[derive(Clone, Debug)]
pub(super) struct Overlay {
    inner: Arc<dyn StorageBackend>,
    written: Arc<Mutex<Written>>,
}

#[derive(Debug, Default)]
struct Written {
    /// None until something asked for it.
    len: Option<u64>,
    /// Where the file ends for the view: it may be cut in the view and grow again.
    file_len: u64,
    blank: bool,
    /// Whole blocks that differ from the file.
    blocks: BTreeMap<u64, Vec<u8>>,
}

const BLOCK: u64 = 4096;

impl Overlay {
    pub(super) fn new(inner: Arc<dyn StorageBackend>) -> Self {
        Self { inner, written: Arc::default() }
    }

    /// Whether the file had a length and no content.
    pub(super) fn was_blank(&self) -> bool {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).blank
    }

    pub(super) fn release(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn block<'a>(&self, written: &'a mut Written, at: u64) -> io::Result<&'a mut Vec<u8>> {
        let start = at * BLOCK;
        match written.blocks.entry(at) {
            std::collections::btree_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let mut block = vec![0; BLOCK as usize];
                let here = written.file_len.saturating_sub(start).min(BLOCK);
                self.inner.read_prefix(start, &mut block[..here as usize])?;
                Ok(entry.insert(block))
            }
        }
    }
}

trait ReadPrefix {
    fn read_prefix(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
}

impl ReadPrefix for Arc<dyn StorageBackend> {
    fn read_prefix(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if out.is_empty() { Ok(()) } else { self.read(offset, out) }
    }
}

impl Written {
    fn len(&mut self, inner: &dyn StorageBackend) -> io::Result<u64> {
        if let Some(len) = self.len {
            return Ok(len);
        }
        self.blank = is_blank(inner)?;
        self.file_len = if self.blank { 0 } else { inner.len()? };
        self.len = Some(self.file_len);
        Ok(self.file_len)
    }
}

/// The blocks that `[offset, offset + len)` touches, each with the part of it and the part of the range.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let end = offset + len as u64;
    (offset / BLOCK..end.div_ceil(BLOCK)).map(move |at| {
        let from = offset.max(at * BLOCK);
        let to = end.min((at + 1) * BLOCK);
        (at, (from - at * BLOCK) as usize, (from - offset) as usize..(to - offset) as usize)
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).len(&*self.inner)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let len = written.len(&*self.inner)?;
        if offset.saturating_add(out.len() as u64) > len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (at, from, range) in parts(offset, out.len()) {
            let out = &mut out[range];
            if let Some(block) = written.blocks.get(&at) {
                out.copy_from_slice(&block[from..from + out.len()]);
                continue;
            }
            let start = at * BLOCK + from as u64;
            let here = (written.file_len.saturating_sub(start) as usize).min(out.len());
            self.inner.read_prefix(start, &mut out[..here])?;
            out[here..].fill(0);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let before = written.len(&*self.inner)?;
        if len < before {
            // What is cut away reads as zeros when the file grows again.
            written.blocks.split_off(&len.div_ceil(BLOCK));
            if !len.is_multiple_of(BLOCK) {
                self.block(&mut written, len / BLOCK)?[(len % BLOCK) as usize..].fill(0);
            }
            written.file_len = written.file_len.min(len);
        }
        written.len = Some(len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let len = written.len(&*self.inner)?;
        written.len = Some(len.max(offset + data.len() as u64));
        for (at, from, range) in parts(offset, data.len()) {
            let data = &data[range];
            self.block(&mut written, at)?[from..from + data.len()].copy_from_slice(data);
        }
        Ok(())
    }

    locks!();
}

/// Whether nothing was ever kept in the file: it has a length, but no whole magic number and nothing behind the header.
/// The database makes a new file in that order, so a power cut leaves such a one.
fn is_blank(backend: &dyn StorageBackend) -> io::Result<bool> {
    const MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";
    const HEADER: u64 = 320;
    let len = backend.len()?;
    if len == 0 {
        return Ok(false);
    }
    let mut magic = vec![0; MAGIC.len().min(usize::try_from(len).unwrap_or(usize::MAX))];
    backend.read(0, &mut magic)?;
    if magic == MAGIC || magic.iter().zip(MAGIC).any(|(found, whole)| *found != 0 && found != whole) {
        return Ok(false);
    }
    let mut chunk = vec![0; 1 << 16];
    let mut offset = HEADER;
    while offset < len {
        let here = usize::try_from(len - offset).unwrap_or(usize::MAX).min(chunk.len());
        backend.read(offset, &mut chunk[..here])?;
        if chunk[..here].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        offset += here as u64;
    }
    Ok(true)
}
