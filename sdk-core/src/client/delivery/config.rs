use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use crate::ByteString;

/// Whether a message of the server is acknowledged, and by whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AckMode {
    /// When every handler of it has succeeded; a negative acknowledgement when one failed, or when there is none.
    #[default]
    Auto,
    /// By the application, with the id that is in the message.
    Manual,
    /// Never. The message is not looked at, so repetitions are not recognised either.
    Off,
}

/// What is acknowledged, recognised as a repetition, unpacked and merged, and how much is remembered for that.
///
/// With a server that has the feature `ack` all its messages that want to be are acknowledged in the mode
/// [`acks`](Self::acks). Other servers are acknowledged only what [`targets`](Self::targets) names.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeliveryConfig {
    /// The mode for methods that are not in [`targets`](Self::targets). [`AckMode::Auto`].
    pub acks: AckMode,
    /// The modes of single methods, whatever the server. Names are compared without regard to case.
    pub targets: Vec<(ByteString, AckMode)>,
    /// How long acknowledgements are collected, to be sent together. 25 ms; nothing while the application is in the
    /// background, where timers are late.
    pub ack_delay: Duration,
    /// How many messages that were handled are recognised when they come again. 10,000.
    pub ack_window: usize,
    /// How many messages may be with the application at one time; more are refused, and come again. 10,000.
    pub max_unacknowledged: usize,
    /// Whether `<Method>Batch` is taken apart. Yes.
    pub unpack_batches: bool,
    /// Whether `<Method>Delta` is merged. Yes.
    pub merge_deltas: bool,
    /// The fields that may name the object of a change; the first that is there counts. `taskId`, `key`.
    pub delta_keys: Vec<ByteString>,
    /// How many objects are kept to merge changes into; the one that has not changed for the longest time goes. 10,000.
    pub max_objects: usize,
    /// How many bytes they and the changes that wait may have together, likewise. 16 MiB.
    pub max_object_bytes: usize,
    /// How many changes of one object may wait for it to come as a whole; with more all of them are dropped. 100.
    pub max_held_deltas: usize,
    /// Of how many streams the position is remembered; the one that was silent for the longest time goes, with a gap. 1,000.
    pub max_streams: usize,
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            acks: AckMode::Auto,
            targets: Vec::new(),
            ack_delay: Duration::from_millis(25),
            ack_window: 10_000,
            max_unacknowledged: 10_000,
            unpack_batches: true,
            merge_deltas: true,
            delta_keys: vec!["taskId".into(), "key".into()],
            max_objects: 10_000,
            max_object_bytes: 16 << 20,
            max_held_deltas: 100,
            max_streams: 1_000,
        }
    }
}

impl DeliveryConfig {
    /// The mode that was set for the method itself.
    pub(super) fn mode_of(&self, target: &str) -> Option<AckMode> {
        self.targets.iter().find(|(name, _)| name.eq_ignore_ascii_case(target)).map(|(_, mode)| *mode)
    }
}
