//! The deadlines and limits of a listener, with the values that ship.
//!
//! Tests scale them down; one test asserts the shipped ones. Nothing else in this module holds a number of its own.

use std::time::Duration;

/// Everything about a listener that is a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long after its accept a connection may take until its first request head is there, TLS handshake
    /// included. The API server gives up on a handshake after the same 10 s (Go's `TLSHandshakeTimeout`).
    pub first_request: Duration,
    /// How long a connection without a request is kept. The API server closes its idle ones at 90 s; whoever closes
    /// first loses the call that is just being written, since a POST is not repeated.
    pub idle: Duration,
    /// How long a request may wait for its body and for its turn where the caller names no `?timeout=`.
    pub wait_default: Duration,
    /// The longest `?timeout=` that is believed: the most a webhook registration can ask for (`timeoutSeconds: 30`).
    pub wait_longest: Duration,
    /// What of the caller's `?timeout=` is left for the decision, the answer and its way back.
    pub answer_margin: Duration,
    /// The largest body, in bytes. The API server takes objects of at most 3 MiB and an UPDATE carries two of them;
    /// 2 MiB remain for the envelope and for characters that grow when they are escaped.
    pub body_limit: usize,
    /// How many bytes of each body are not counted against [`Settings::body_budget`]: nearly every review is smaller,
    /// and `max_in_flight` times this is 16 MiB.
    pub body_free: usize,
    /// How many bytes all bodies may hold together beyond their free part: eight of the largest.
    pub body_budget: usize,
    /// The most bytes of a request head, which is below 2 KiB from an API server, and of a connection's read buffer: a
    /// body that fits into it whole is not copied. While a larger one arrives, two of them are filled: 32 MiB for
    /// `max_in_flight`. With these, 256 bodies of 8 MiB that never end were seen to hold 150 MiB.
    pub read_buffer: usize,
    /// How many connections may be open; one more waits in the kernel's queue. At about 40 KiB each, 40 MiB. An API
    /// server keeps at most 25 idle.
    pub max_connections: usize,
    /// How many requests may be read or decided at once. A decision takes well below a millisecond, so what is in
    /// flight waits for its bytes: 256 of them finish within 0.1 s on one core, and one more is better off asking
    /// another replica than waiting for all of them.
    pub max_in_flight: usize,
    /// How many requests one HTTP/2 connection may have open: an eighth of `max_in_flight`.
    pub max_streams: u32,
    /// How long after the signal new connections are still accepted: endpoint removal reaches the API servers late.
    pub drain_grace: Duration,
    /// How long a connection must have been idle to be closed after the grace, so that no call that is on its way is
    /// lost.
    pub drain_idle: Duration,
    /// How long after the grace whatever is still open is cut: the longest request that began at its end.
    pub drain_last_resort: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            first_request: Duration::from_secs(10),
            idle: Duration::from_mins(2),
            wait_default: Duration::from_secs(10),
            wait_longest: Duration::from_secs(30),
            answer_margin: Duration::from_millis(500),
            body_limit: 8 * 1024 * 1024,
            body_free: 64 * 1024,
            body_budget: 64 * 1024 * 1024,
            read_buffer: 64 * 1024,
            max_connections: 1024,
            max_in_flight: 256,
            max_streams: 32,
            drain_grace: Duration::from_secs(15),
            drain_idle: Duration::from_secs(3),
            drain_last_resort: Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_values() {
        let settings = Settings::default();
        let seconds = Duration::from_secs;
        assert_eq!(settings.first_request, seconds(10));
        assert_eq!(settings.idle, seconds(120));
        assert_eq!(settings.wait_default, seconds(10));
        assert_eq!(settings.wait_longest, seconds(30));
        assert_eq!(settings.answer_margin, Duration::from_millis(500));
        assert_eq!(settings.body_limit, 8_388_608);
        assert_eq!(settings.body_free, 65_536);
        assert_eq!(settings.body_budget, 8 * settings.body_limit);
        assert_eq!(settings.read_buffer, 65_536);
        assert_eq!(settings.max_connections, 1024);
        assert_eq!(settings.max_in_flight, 256);
        assert_eq!(settings.max_streams, 32);
        assert_eq!(settings.drain_grace, seconds(15));
        assert_eq!(settings.drain_idle, seconds(3));
        assert_eq!(settings.drain_last_resort, settings.wait_longest);
    }

    #[test]
    fn an_idle_connection_outlives_the_api_servers_pool() {
        assert!(Settings::default().idle > Duration::from_secs(90));
    }
}
