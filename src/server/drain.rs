//! How far a listener is on its way to its end.

/// The phases follow each other in this order, each at most once.
///
/// | phase | accepts | HTTP/1 | HTTP/2 | closes what is idle for |
/// |---|---|---|---|---|
/// | `Serving` | yes | keep-alive | | `idle` |
/// | `Draining`, from the signal for `drain_grace` | yes | answers with `Connection: close` | GOAWAY after the first request | `idle` |
/// | `Closing`, at most `drain_last_resort` | no | the same | the same | `drain_idle` |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    Draining,
    Closing,
}
