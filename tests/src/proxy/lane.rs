//! One direction of one connection: reads on one side, applies the faults, writes on the other.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::faults::{Ending, Lane};
use crate::random::Random;

/// How many bytes one direction of one connection holds at most. A reader that waits stops the sender, as TCP does.
pub const BUFFER: usize = 256 * 1024;
const READ: usize = 16 * 1024;
/// With a limited speed, writes are as long as this much time allows, so that bytes trickle instead of coming in bursts.
const PACE: Duration = Duration::from_millis(10);

/// The faults of a lane, with the points that depend on when they were set.
#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    pub(super) faults: Lane,
    pub(super) seed: u64,
    /// The number of forwarded bytes at which the connection ends.
    pub(super) end_at: Option<u64>,
}

/// Why a lane is over, other than by the regular end of its stream.
#[derive(Debug)]
pub(super) enum Over {
    /// The faults say so.
    Faults(Ending),
    /// A socket failed.
    Broken,
}

enum Item<'a> {
    /// Not to be sent before that time. Holds its part of the buffer until it is gone.
    Bytes(Vec<u8>, Instant, SemaphorePermit<'a>),
    End,
    Broken,
}

/// Forwards until the end of the stream, which it passes on.
pub(super) async fn forward(
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    orders: watch::Receiver<Order>,
    stream: u64,
    forwarded: &AtomicU64,
    progress: impl Fn(),
) -> Result<(), Over> {
    let buffer = Semaphore::new(BUFFER);
    // Bounded by the semaphore: there is at least one byte in each item but the last.
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let reading = read(from, &buffer, sender, orders.clone(), stream);
    let mut writer = Writer::new(orders, stream, forwarded);
    let writing = writer.run(to, &mut receiver, progress);
    tokio::pin!(writing);
    tokio::select! {
        result = &mut writing => result,
        () = reading => writing.await,
    }
}

async fn read<'a>(
    mut from: impl AsyncRead + Unpin,
    buffer: &'a Semaphore,
    queue: mpsc::UnboundedSender<Item<'a>>,
    orders: watch::Receiver<Order>,
    stream: u64,
) {
    let mut chunk = vec![0; READ];
    let mut seed = orders.borrow().seed;
    let mut random = Random::new(seed, stream);
    loop {
        let Ok(mut permit) = buffer.acquire_many(READ as u32).await else { return };
        let item = match from.read(&mut chunk).await {
            Ok(0) => Item::End,
            Err(_) => Item::Broken,
            Ok(length) => {
                let (Lane { delay, jitter, .. }, now_seed) = {
                    let order = orders.borrow();
                    (order.faults, order.seed)
                };
                if now_seed != seed {
                    seed = now_seed;
                    random = Random::new(seed, stream);
                }
                let late = Duration::from_micros(random.below(jitter.as_micros() as u64 + 1));
                drop(permit.split(READ - length));
                Item::Bytes(chunk[..length].to_vec(), Instant::now() + delay + late, permit)
            }
        };
        let last = !matches!(item, Item::Bytes(..));
        if queue.send(item).is_err() || last {
            return;
        }
    }
}

struct Writer<'a> {
    orders: watch::Receiver<Order>,
    order: Order,
    stream: u64,
    random: Random,
    forwarded: &'a AtomicU64,
    /// When the bytes sent so far are through, at the speed that is set.
    free: Instant,
}

impl<'a> Writer<'a> {
    fn new(mut orders: watch::Receiver<Order>, stream: u64, forwarded: &'a AtomicU64) -> Self {
        let order = orders.borrow_and_update().clone();
        // Not the sequence of the reader, whose draws depend on how the bytes arrive.
        let random = Random::new(order.seed, !stream);
        Self { orders, order, stream, random, forwarded, free: Instant::now() }
    }

    async fn run(
        &mut self,
        mut to: impl AsyncWrite + Unpin,
        queue: &mut mpsc::UnboundedReceiver<Item<'_>>,
        progress: impl Fn(),
    ) -> Result<(), Over> {
        while let Some(item) = self.next(queue).await? {
            let (bytes, due, _held) = match item {
                Item::Broken => return Err(Over::Broken),
                Item::End => return to.shutdown().await.map_err(|_| Over::Broken),
                Item::Bytes(bytes, due, held) => (bytes, due, held),
            };
            self.until(due).await?;
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let length = self.write_length(rest.len());
                let mut now = rest[..length].to_vec();
                rest = &rest[length..];
                self.corrupt(&mut now);
                send(&mut to, &now).await.map_err(|_| Over::Broken)?;
                self.forwarded.fetch_add(length as u64, Ordering::Relaxed);
                progress();
                let again = self.next_write(length, !rest.is_empty());
                self.until(again).await?;
            }
        }
        Ok(())
    }

    /// The next item, unless the faults end the connection first.
    async fn next<'b>(
        &mut self,
        queue: &mut mpsc::UnboundedReceiver<Item<'b>>,
    ) -> Result<Option<Item<'b>>, Over> {
        loop {
            self.until(Instant::now()).await?;
            tokio::select! {
                item = queue.recv() => {
                    // A hole that opened while nothing came holds this back, too.
                    self.until(Instant::now()).await?;
                    return Ok(item);
                }
                changed = self.orders.changed() => {
                    changed.map_err(|_| Over::Broken)?;
                    // Seen again by `until`, which takes it over.
                    self.orders.mark_changed();
                }
            }
        }
    }

    /// Waits for a time and for the end of a hole. Takes over new orders as they come.
    async fn until(&mut self, time: Instant) -> Result<(), Over> {
        loop {
            if self.orders.has_changed().map_err(|_| Over::Broken)? {
                let new = self.orders.borrow_and_update().clone();
                if new.seed != self.order.seed {
                    self.random = Random::new(new.seed, !self.stream);
                }
                self.order = new;
            }
            let end_at = self.order.end_at;
            if end_at.is_some_and(|end| self.forwarded.load(Ordering::Relaxed) >= end) {
                return Err(Over::Faults(self.order.faults.end_after.map(|end| end.how).unwrap_or_default()));
            }
            let hole = self.order.faults.hole;
            // Not left to the timer, which rounds up to a millisecond.
            if !hole && time <= Instant::now() {
                return Ok(());
            }
            tokio::select! {
                changed = self.orders.changed() => {
                    changed.map_err(|_| Over::Broken)?;
                    self.orders.mark_changed();
                }
                () = sleep_until(time), if !hole => {}
            }
        }
    }

    /// How many of the next bytes go out in one write.
    fn write_length(&mut self, available: usize) -> usize {
        let mut length = available;
        if let Some(slice) = self.order.faults.slice {
            length = length.min(1 + self.random.below(slice.longest.get() as u64) as usize);
        }
        if let Some(speed) = self.order.faults.bytes_per_second {
            let paced = f64::from(speed.get()) * PACE.as_secs_f64();
            length = length.min((paced as usize).max(1));
        }
        if let Some(end) = self.order.end_at {
            let left = end.saturating_sub(self.forwarded.load(Ordering::Relaxed));
            length = length.min(usize::try_from(left).unwrap_or(usize::MAX));
        }
        length
    }

    fn corrupt(&mut self, bytes: &mut [u8]) {
        let Some(one_in) = self.order.faults.corrupt_one_in else { return };
        for byte in bytes {
            if self.random.below(one_in.get()) == 0 {
                *byte ^= 1 << self.random.below(8);
            }
        }
    }

    /// When the next write may follow one of this length.
    fn next_write(&mut self, length: usize, more: bool) -> Instant {
        let now = Instant::now();
        if let Some(speed) = self.order.faults.bytes_per_second {
            self.free = self.free.max(now) + Duration::from_secs_f64(length as f64 / f64::from(speed.get()));
        }
        match self.order.faults.slice {
            Some(slice) if more => self.free.max(now + slice.pause),
            _ => self.free,
        }
    }
}

async fn send(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

/// No socket here, so the clock is the test's own.
#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroUsize};
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::DuplexStream;
    use tokio::task::JoinHandle;

    use super::super::faults::Slice;
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A write and when it was.
    type Note = (Duration, Vec<u8>);

    /// Notes every write.
    struct Notes(Vec<Note>, Instant);

    impl AsyncWrite for Notes {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let since = self.1.elapsed();
            self.0.push((since, bytes.to_vec()));
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// A lane with these faults: where to write, and what came out of it in the end.
    fn start(faults: Lane, seed: u64) -> (DuplexStream, JoinHandle<Vec<Note>>) {
        let (sender, receiver) = tokio::io::duplex(1 << 20);
        let order = watch::Sender::new(Order { faults, seed, end_at: None });
        let run = async move {
            let mut notes = Notes(Vec::new(), Instant::now());
            forward(receiver, &mut notes, order.subscribe(), 2, &AtomicU64::new(0), || {}).await.unwrap();
            notes.0
        };
        (sender, tokio::spawn(run))
    }

    /// What comes out of ten single bytes, one every millisecond.
    async fn ten(faults: Lane, seed: u64) -> Vec<Note> {
        let (mut sender, notes) = start(faults, seed);
        for byte in 0..10 {
            sender.write_all(&[byte]).await.unwrap();
            tokio::time::sleep(MS).await;
        }
        drop(sender);
        notes.await.unwrap()
    }

    fn bytes(notes: &[Note]) -> Vec<u8> {
        notes.iter().flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_is_the_same_for_all_and_does_not_add_up() {
        let notes = ten(Lane { delay: 50 * MS, ..Lane::default() }, 0).await;
        assert_eq!(bytes(&notes), (0..10).collect::<Vec<u8>>());
        for (number, (time, _)) in (0..).zip(&notes) {
            let due = MS * (50 + number);
            assert!((due..due + 2 * MS).contains(time), "byte {number} after {time:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn jitter_keeps_the_order_and_follows_the_seed() {
        let jitter = Lane { jitter: 40 * MS, ..Lane::default() };
        let notes = ten(jitter, 1).await;
        assert_eq!(bytes(&notes), (0..10).collect::<Vec<u8>>());
        assert!(notes.iter().all(|(time, _)| *time <= 52 * MS), "{notes:?}");
        assert!(notes.last().unwrap().0 > 15 * MS, "{notes:?}");
        assert_eq!(notes, ten(jitter, 1).await);
        assert_ne!(notes, ten(jitter, 2).await);
    }

    #[tokio::test(start_paused = true)]
    async fn slices_are_short_paused_and_follow_the_seed() {
        let slice = Some(Slice { longest: NonZeroUsize::new(4).unwrap(), pause: 3 * MS });
        let mut runs = Vec::new();
        for seed in [1, 1, 2] {
            let (mut sender, notes) = start(Lane { slice, ..Lane::default() }, seed);
            sender.write_all(&[7; 100]).await.unwrap();
            drop(sender);
            let notes = notes.await.unwrap();
            assert_eq!(bytes(&notes), [7; 100]);
            let lengths: Vec<usize> = notes.iter().map(|(_, bytes)| bytes.len()).collect();
            assert!(lengths.iter().all(|&length| (1..=4).contains(&length)), "{lengths:?}");
            assert!(lengths.contains(&1) && lengths.contains(&4), "{lengths:?}");
            assert!(notes.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 3 * MS), "{notes:?}");
            runs.push(lengths);
        }
        assert_eq!(runs[0], runs[1]);
        assert_ne!(runs[0], runs[2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttle_trickles() {
        let faults = Lane { bytes_per_second: NonZeroU32::new(1000), ..Lane::default() };
        let (mut sender, notes) = start(faults, 0);
        sender.write_all(&[7; 500]).await.unwrap();
        drop(sender);
        let notes = notes.await.unwrap();
        assert_eq!(bytes(&notes), [7; 500]);
        assert!(notes.iter().all(|(_, bytes)| bytes.len() <= 10));
        let last = notes.last().unwrap().0;
        assert!((485 * MS..600 * MS).contains(&last), "the last bytes went after {last:?}");
    }
}
