use std::time::Duration;

/// How messages that are to be acknowledged are delivered. Applies to one hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryConfig {
    /// How long a delivery waits for its acknowledgement. 30 s.
    pub message_timeout: Duration,
    /// How often a critical message is delivered again after a negative acknowledgement, or none in time. 3.
    pub max_retry_attempts: u32,
    /// How long the first of these waits; each further one waits twice as long. 2 s.
    pub initial_retry_delay: Duration,
    /// No one waits longer. 32 s.
    pub max_retry_delay: Duration,
    /// How many messages one recipient may have without having acknowledged them; the others wait. 256.
    pub window: usize,
    /// And how many bytes of them; one message of any size always may leave. 1 MiB.
    pub window_bytes: usize,
    /// How long a session is waited for after its last connection was lost. 2 min.
    pub session_window: Duration,
    /// How many messages may be pending for one recipient. 10,000.
    pub recipient_messages: usize,
    /// And how many bytes. 4 MiB.
    pub recipient_bytes: usize,
    /// How many messages may be pending in all. 1,000,000.
    pub messages: usize,
    /// And how many bytes. 256 MiB.
    pub bytes: usize,
    /// How many dead letters are kept; the oldest makes room. 10,000.
    pub dead_letters: usize,
    /// And how many bytes of them. 64 MiB.
    pub dead_letter_bytes: usize,
    /// How long the status of a message is known after its end. 1 min.
    pub status_window: Duration,
    /// How many ended messages are known; the oldest makes room. 100,000.
    pub statuses: usize,
    /// How often what is out of that window is looked for where nothing else happens. 5 min.
    pub cleanup_interval: Duration,
    /// How many recipients in a row have to fail for the circuit breaker to open; 0 is never. 5.
    pub failure_threshold: usize,
    /// How long it stays open before it tries. 30 s.
    pub open_duration: Duration,
    /// How many changes are given to the store at once. 100.
    pub store_batch: usize,
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            message_timeout: Duration::from_secs(30),
            max_retry_attempts: 3,
            initial_retry_delay: Duration::from_secs(2),
            max_retry_delay: Duration::from_secs(32),
            window: 256,
            window_bytes: 1 << 20,
            session_window: Duration::from_secs(120),
            recipient_messages: 10_000,
            recipient_bytes: 4 << 20,
            messages: 1_000_000,
            bytes: 256 << 20,
            dead_letters: 10_000,
            dead_letter_bytes: 64 << 20,
            status_window: Duration::from_secs(60),
            statuses: 100_000,
            cleanup_interval: Duration::from_secs(300),
            failure_threshold: 5,
            open_duration: Duration::from_secs(30),
            store_batch: 100,
        }
    }
}

impl DeliveryConfig {
    /// How long the retry with that number, from 1 on, waits.
    pub(super) fn retry_delay(&self, number: u32) -> Duration {
        let factor = 1_u32.checked_shl(number.saturating_sub(1)).unwrap_or(u32::MAX);
        self.initial_retry_delay.saturating_mul(factor).min(self.max_retry_delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_their_limit() {
        let config = DeliveryConfig::default();
        let delays: Vec<_> = (1..=7).map(|number| config.retry_delay(number).as_secs()).collect();
        assert_eq!(delays, [2, 4, 8, 16, 32, 32, 32]);
        assert_eq!(config.retry_delay(u32::MAX), config.max_retry_delay);
    }
}
