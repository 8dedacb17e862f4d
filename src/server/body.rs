//! A request body in memory, within its limit and within the budget that all bodies share.

use super::Settings;
use axum::body::{Body, Bytes, HttpBody};
use std::pin::{Pin, pin};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

/// The unit in which the budget is shared out, in bytes: a semaphore counts 32 bits of permits at a time.
const UNIT: usize = 1024;

/// How large bodies may be, one by one and together.
#[derive(Debug)]
pub(super) struct Room {
    limit: usize,
    free: usize,
    shared: Semaphore,
}

/// A whole body. What it holds of the shared budget comes back when it is dropped.
#[derive(Debug)]
pub(super) struct Received<'a> {
    bytes: Contents,
    _held: Held<'a>,
}

/// A body that came in one piece, as nearly all do, is not copied.
#[derive(Debug)]
enum Contents {
    OnePiece(Bytes),
    Joined(Vec<u8>),
}

/// Why there is no whole body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incomplete {
    /// It is larger than the limit; `is_at_end` if the rest of it has been read and thrown away.
    TooLarge { is_at_end: bool },
    /// The caller stopped in the middle, or broke the framing.
    Broken,
    /// It was not there in time.
    Late,
}

/// The part of the shared budget that one body holds.
#[derive(Debug)]
struct Held<'a> {
    room: &'a Room,
    permit: Option<SemaphorePermit<'a>>,
}

impl Room {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            limit: settings.body_limit,
            free: settings.body_free,
            shared: Semaphore::new(settings.body_budget / UNIT),
        }
    }

    /// Reads the body to its end. A slow one is cut at the deadline, however steadily it drips; a body that is already
    /// there costs no timer.
    pub(super) async fn receive(&self, body: Body, deadline: Instant) -> Result<Received<'_>, Incomplete> {
        let mut body = pin!(body);
        match timeout_at(deadline, self.collect(body.as_mut())).await {
            Ok(Ok(received)) => Ok(received),
            Ok(Err(Incomplete::TooLarge { .. })) => {
                let is_at_end = self.discard(body, deadline).await;
                Err(Incomplete::TooLarge { is_at_end })
            }
            Ok(Err(incomplete)) => Err(incomplete),
            Err(_) => Err(Incomplete::Late),
        }
    }

    /// Reads what is left of a body without keeping it, and says whether its end was reached.
    ///
    /// A caller that is answered while it still writes may lose the answer to the reset that follows when the
    /// connection is closed. So its body is taken off it, but not much more of it than would have been accepted.
    pub(super) async fn discard(&self, body: impl HttpBody<Data = Bytes>, deadline: Instant) -> bool {
        let rest = async {
            let mut body = pin!(body);
            let mut left = self.limit;
            while !body.is_end_stream() {
                if left == 0 {
                    return false;
                }
                match next_data(body.as_mut()).await {
                    Ok(Some(data)) => left = left.saturating_sub(data.len()),
                    Ok(None) => break,
                    Err(_) => return false,
                }
            }
            true
        };
        timeout_at(deadline, rest).await.unwrap_or(false)
    }

    async fn collect(&self, mut body: Pin<&mut Body>) -> Result<Received<'_>, Incomplete> {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        self.check(announced)?;
        let mut held = Held {
            room: self,
            permit: None,
        };
        let first = next_data(body.as_mut()).await?.unwrap_or_default();
        self.check(first.len())?;
        held.grow(first.len()).await;
        if body.is_end_stream() {
            return Ok(Received {
                bytes: Contents::OnePiece(first),
                _held: held,
            });
        }
        let mut joined = Vec::with_capacity(announced.clamp(first.len(), self.free.max(first.len())));
        joined.extend_from_slice(&first);
        while let Some(data) = next_data(body.as_mut()).await? {
            let length = joined.len().saturating_add(data.len());
            self.check(length)?;
            held.grow(length).await;
            // At once, not by doubling: what was announced is no memory until it is written to.
            joined.reserve_exact(announced.saturating_sub(joined.len()));
            joined.extend_from_slice(&data);
        }
        Ok(Received {
            bytes: Contents::Joined(joined),
            _held: held,
        })
    }

    fn check(&self, length: usize) -> Result<(), Incomplete> {
        let too_large = Incomplete::TooLarge { is_at_end: false };
        (length <= self.limit).then_some(()).ok_or(too_large)
    }
}

impl Held<'_> {
    /// Waits until the budget covers a body of that length. Bodies that hold a part each and wait for the rest of each
    /// other end with their deadlines; it takes more than eight of the largest at once.
    async fn grow(&mut self, length: usize) {
        let needed = length.saturating_sub(self.room.free).div_ceil(UNIT);
        let held = self.permit.as_ref().map_or(0, SemaphorePermit::num_permits);
        let Ok(missing @ 1..) = u32::try_from(needed.saturating_sub(held)) else {
            return;
        };
        // Only a closed semaphore errs, and nobody closes this one.
        let Ok(more) = self.room.shared.acquire_many(missing).await else {
            return;
        };
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
    }
}

impl Received<'_> {
    pub(super) fn as_slice(&self) -> &[u8] {
        match &self.bytes {
            Contents::OnePiece(bytes) => bytes,
            Contents::Joined(bytes) => bytes,
        }
    }
}

/// The next bytes of a body, `None` at its end. Trailers say nothing here.
async fn next_data<B: HttpBody<Data = Bytes>>(mut body: Pin<&mut B>) -> Result<Option<Bytes>, Incomplete> {
    loop {
        match std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
            None => return Ok(None),
            Some(Err(_)) => return Err(Incomplete::Broken),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
