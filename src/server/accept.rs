//! From an address to a running listener and to its end.

use super::connection::{self, Shared, Transport};
use super::drain::Phase;
use super::limits::Places;
use super::{Admit, Settings, router};
use crate::metrics::{Closed, ConnectionMetrics, Metrics};
use crate::readiness::{BEAT, Readiness};
use arc_swap::ArcSwap;
use axum::Router;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until};

/// A listener that is not bound yet.
pub struct Server {
    shared: Shared,
    readiness: Option<Arc<Readiness>>,
}

/// A listener that is bound; callers already wait in the kernel's queue.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    server: Server,
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("could not listen on `{address}`")]
pub struct BindFailed {
    /// The address that was tried.
    pub address: SocketAddr,
    /// What the system says.
    pub source: io::Error,
}

/// A listener at work.
struct Running {
    shared: Arc<Shared>,
    readiness: Option<Arc<Readiness>>,
    places: Arc<Places>,
    phase: watch::Sender<Phase>,
    beat: Interval,
    connections: JoinSet<()>,
    failures: Failures,
}

/// What accepts have failed in a row: a process without free file descriptors must not spin.
#[derive(Debug, Default)]
struct Failures {
    in_a_row: u32,
    retry_at: Option<Instant>,
}

impl Server {
    /// The webhook's listener: HTTPS, reviews at [`PATH`](super::PATH). It drains, beats and counts into what it is
    /// given; each new connection takes the TLS configuration of its moment.
    pub fn new(
        settings: Settings,
        tls: Arc<ArcSwap<rustls::ServerConfig>>,
        admit: Arc<dyn Admit>,
        metrics: Arc<Metrics>,
        readiness: Arc<Readiness>,
    ) -> Self {
        let shared = Shared {
            transport: Transport::Tls(tls),
            metrics: metrics.connections.clone(),
            router: router(settings.clone(), admit, metrics),
            settings,
        };
        let readiness = Some(readiness);
        Self { shared, readiness }
    }

    /// A listener for plain HTTP with routes of its own.
    pub(crate) fn plain(settings: Settings, router: Router) -> Self {
        let shared = Shared {
            transport: Transport::Plain,
            metrics: ConnectionMetrics::default(),
            router,
            settings,
        };
        let readiness = None;
        Self { shared, readiness }
    }

    /// Takes the address; port 0 takes any free one.
    pub async fn bind(self, address: SocketAddr) -> Result<Bound, BindFailed> {
        let bind = async || {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = bind().await.map_err(|source| BindFailed { address, source })?;
        Ok(Bound {
            listener,
            address,
            server: self,
        })
    }
}

impl BindFailed {
    /// What to do about it, where that is plain.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self.source.kind() {
            io::ErrorKind::AddrInUse => Some("another program listens there: end it, or choose another port"),
            io::ErrorKind::AddrNotAvailable => Some("no network interface of this machine has that address"),
            io::ErrorKind::PermissionDenied => Some("ports below 1024 are privileged: choose a higher one"),
            _ => None,
        }
    }
}

impl Bound {
    /// The address that was taken.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is done, then drains: readiness turns false, new connections are served for
    /// `drain_grace` longer, and the call returns when the last connection has ended, at the latest `drain_last_resort`
    /// after that. Dropping the future ends everything at once.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let listener = self.listener;
        let Server { shared, readiness } = self.server;
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let settings = shared.settings.clone();
        let mut running = Running {
            places: Arc::new(Places::new(settings.max_connections, shared.metrics.clone())),
            shared: Arc::new(shared),
            readiness,
            phase: watch::Sender::new(Phase::Serving),
            beat,
            connections: JoinSet::new(),
            failures: Failures::default(),
        };
        running.accept_until(&listener, shutdown).await;
        if let Some(readiness) = &running.readiness {
            readiness.drain();
        }
        running.phase.send_replace(Phase::Draining);
        running.accept_until(&listener, sleep(settings.drain_grace)).await;
        drop(listener);
        running.phase.send_replace(Phase::Closing);
        running.finish(settings.drain_last_resort).await;
    }
}

impl Running {
    async fn accept_until(&mut self, listener: &TcpListener, end: impl Future<Output = ()>) {
        let mut end = pin!(end);
        loop {
            tokio::select! {
                biased;
                () = end.as_mut() => return,
                _ = self.beat.tick() => self.show_life(),
                Some(ended) = self.connections.join_next() => self.ended(ended),
                (permit, accepted) = accept(listener, &self.places, self.failures.retry_at) => match accepted {
                    Ok((stream, peer)) => {
                        self.failures = Failures::default();
                        self.serve(stream, peer, permit);
                    }
                    Err(error) => self.failures.note(&error),
                },
            }
        }
    }

    /// Waits for the connections to end, then ends what is left.
    async fn finish(mut self, at_most: Duration) {
        let mut end = pin!(sleep(at_most));
        while !self.connections.is_empty() {
            tokio::select! {
                biased;
                () = end.as_mut() => break,
                _ = self.beat.tick() => self.show_life(),
                Some(ended) = self.connections.join_next() => self.ended(ended),
            }
        }
        for _ in 0..self.connections.len() {
            self.shared.metrics.closed(Closed::LastResort);
        }
        self.connections.shutdown().await;
    }

    fn serve(&mut self, stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit) {
        // Without effect on a connection that has broken already, which its task will notice.
        let _ = stream.set_nodelay(true);
        match self.places.enter(permit, peer.ip()) {
            Some(place) => {
                let phase = self.phase.subscribe();
                self.connections
                    .spawn(connection::serve(stream, place, self.shared.clone(), phase));
            }
            None => self.shared.metrics.closed(Closed::PeerLimit),
        }
    }

    fn ended(&self, ended: Result<(), JoinError>) {
        if ended.is_err_and(|error| error.is_panic()) {
            self.shared.metrics.panicked();
            tracing::error!("the task of a connection panicked");
        }
    }

    fn show_life(&self) {
        if let Some(readiness) = &self.readiness {
            readiness.beat();
        }
    }
}

/// The next connection, once there is a permit for it: at the limit, callers wait in the kernel's queue.
async fn accept(
    listener: &TcpListener,
    places: &Places,
    not_before: Option<Instant>,
) -> (OwnedSemaphorePermit, io::Result<(TcpStream, SocketAddr)>) {
    if let Some(instant) = not_before {
        sleep_until(instant).await;
    }
    let permit = places.permit().await;
    (permit, listener.accept().await)
}

impl Failures {
    /// The wait after the first failure; it doubles with each one in a row.
    const FIRST_WAIT: Duration = Duration::from_millis(10);
    /// The longest wait, so that the end of a shortage is noticed soon.
    const LONGEST_WAIT: Duration = Duration::from_secs(1);

    fn note(&mut self, error: &io::Error) {
        // The caller gave up before it was accepted: nothing is wrong here.
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
        ) {
            return;
        }
        let wait = Self::FIRST_WAIT
            .saturating_mul(1 << self.in_a_row.min(10))
            .min(Self::LONGEST_WAIT);
        if self.in_a_row == 0 {
            tracing::warn!(%error, "could not accept a connection, will try again");
        }
        self.in_a_row += 1;
        self.retry_at = Some(Instant::now() + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_accepts_wait_longer_and_longer() {
        let shortage = io::Error::from_raw_os_error(24);
        let mut failures = Failures::default();
        let waits: Vec<bool> = (0..40)
            .map(|_| {
                failures.note(&shortage);
                failures
                    .retry_at
                    .is_some_and(|at| at > Instant::now() + Failures::LONGEST_WAIT / 2)
            })
            .collect();
        assert!(!waits[0], "the first is short");
        assert!(waits[39], "the last is long");
        assert!(failures.retry_at.unwrap() <= Instant::now() + Failures::LONGEST_WAIT);
    }

    #[test]
    fn a_caller_that_gave_up_costs_no_wait() {
        let mut failures = Failures::default();
        failures.note(&io::ErrorKind::ConnectionAborted.into());
        assert!(failures.retry_at.is_none());
    }
}
