//! Who may be connected: a permit before each accept, and fair shares of the permits.
//!
//! A connection that has not sent a request yet is *unproven*. Unproven connections hold at most half of the permits,
//! and so does any one peer address, so that neither idle connections nor one busy address can keep the API server
//! out. Where a newcomer is one too many, the oldest unproven connection makes room: a real caller proves itself
//! within milliseconds, so the oldest is the least likely to be one.

use super::activity::Activity;
use crate::metrics::ConnectionMetrics;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All places of one listener.
#[derive(Debug)]
pub(super) struct Places {
    permits: Arc<Semaphore>,
    half: usize,
    register: Mutex<Register>,
    metrics: ConnectionMetrics,
}

/// The place of one connection; dropping it frees the permit.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    peer: IpAddr,
    number: u64,
    /// What the connection is doing.
    pub(super) activity: Arc<Activity>,
    _permit: OwnedSemaphorePermit,
}

/// Locked when a connection comes, proves itself and goes; never by a request after a connection's first.
#[derive(Debug, Default)]
struct Register {
    accepted: u64,
    open: HashMap<IpAddr, usize>,
    unproven: BTreeMap<u64, Unproven>,
}

#[derive(Debug)]
struct Unproven {
    peer: IpAddr,
    activity: Arc<Activity>,
}

impl Places {
    pub(super) fn new(max_connections: usize, metrics: ConnectionMetrics) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(max_connections)),
            half: (max_connections / 2).max(1),
            register: Mutex::default(),
            metrics,
        }
    }

    /// Waits until one more connection may be accepted.
    pub(super) async fn permit(&self) -> OwnedSemaphorePermit {
        match self.permits.clone().acquire_owned().await {
            Ok(permit) => permit,
            // Only a closed semaphore errs, and nobody closes this one.
            Err(_) => std::future::pending().await,
        }
    }

    /// The place of a connection that was just accepted, or `None` if it has to be closed because its peer holds half
    /// of the permits with connections that all have proved themselves.
    pub(super) fn enter(self: &Arc<Self>, permit: OwnedSemaphorePermit, peer: IpAddr) -> Option<Place> {
        let peer = peer.to_canonical();
        let mut register = self.register();
        if register.open.get(&peer).is_some_and(|open| *open >= self.half) {
            register.evict_oldest(|unproven| unproven.peer == peer)?;
        }
        if register.unproven.len() >= self.half {
            register.evict_oldest(|_| true);
        }
        register.accepted += 1;
        let number = register.accepted;
        let activity = Arc::new(Activity::new());
        *register.open.entry(peer).or_default() += 1;
        let unproven = Unproven {
            peer,
            activity: activity.clone(),
        };
        register.unproven.insert(number, unproven);
        drop(register);
        self.metrics.open.inc();
        Some(Place {
            places: self.clone(),
            peer,
            number,
            activity,
            _permit: permit,
        })
    }

    fn register(&self) -> MutexGuard<'_, Register> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Register {
    /// Evicts the oldest unproven connection of that kind; `None` if there is none. Its permit comes back when its
    /// task ends, which is at once.
    fn evict_oldest(&mut self, is_candidate: impl Fn(&Unproven) -> bool) -> Option<()> {
        let number = self
            .unproven
            .iter()
            .find_map(|(number, unproven)| is_candidate(unproven).then_some(*number))?;
        self.unproven.remove(&number)?.activity.evict();
        Some(())
    }
}

impl Place {
    /// The connection has sent a request.
    pub(super) fn prove(&self) {
        self.places.register().unproven.remove(&self.number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut register = self.places.register();
        register.unproven.remove(&self.number);
        if let Some(open) = register.open.get_mut(&self.peer) {
            *open -= 1;
            if *open == 0 {
                register.open.remove(&self.peer);
            }
        }
        drop(register);
        self.places.metrics.open.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn stranger(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    fn places(max_connections: usize) -> Arc<Places> {
        Arc::new(Places::new(max_connections, ConnectionMetrics::default()))
    }

    fn enter(places: &Arc<Places>, peer: IpAddr) -> Option<Place> {
        let permit = places.permits.clone().try_acquire_owned().expect("a permit is free");
        places.enter(permit, peer)
    }

    fn evicted(places: &[Place]) -> Vec<bool> {
        places.iter().map(|place| place.activity.is_evicted()).collect()
    }

    #[test]
    fn unproven_connections_hold_at_most_half() {
        let places = places(8);
        let mut open: Vec<Place> = (0..4).map(|number| enter(&places, stranger(number)).unwrap()).collect();
        assert_eq!(evicted(&open), [false; 4]);
        open.push(enter(&places, CALLER).unwrap());
        assert_eq!(
            evicted(&open),
            [true, false, false, false, false],
            "the oldest makes room"
        );
    }

    #[test]
    fn a_proven_connection_is_never_evicted() {
        let places = places(8);
        let caller = enter(&places, CALLER).unwrap();
        caller.prove();
        let open: Vec<Place> = (0..6).map(|number| enter(&places, stranger(number)).unwrap()).collect();
        assert!(!caller.activity.is_evicted());
        assert_eq!(evicted(&open), [true, true, false, false, false, false]);
    }

    #[test]
    fn one_peer_holds_at_most_half() {
        let places = places(8);
        let mut open: Vec<Place> = (0..4).map(|_| enter(&places, CALLER).unwrap()).collect();
        for place in open.iter().skip(1) {
            place.prove();
        }
        open.push(enter(&places, CALLER).unwrap());
        assert_eq!(
            evicted(&open),
            [true, false, false, false, false],
            "its own unproven one makes room"
        );
        open.remove(0);
        open.iter().for_each(Place::prove);
        assert!(
            enter(&places, CALLER).is_none(),
            "with none unproven the newcomer is closed"
        );
        assert!(enter(&places, stranger(1)).is_some(), "others still get in");
        open.pop();
        assert!(enter(&places, CALLER).is_some(), "and so does it once one has gone");
    }

    #[test]
    fn an_address_is_the_same_peer_in_both_families() {
        let places = places(2);
        let first = enter(&places, CALLER).unwrap();
        first.prove();
        assert!(enter(&places, "::ffff:10.0.0.1".parse().unwrap()).is_none());
    }

    #[test]
    fn nothing_is_left_of_a_closed_connection() {
        let places = places(4);
        let open: Vec<Place> = (0..2).map(|number| enter(&places, stranger(number)).unwrap()).collect();
        assert_eq!(places.metrics.open.get(), 2);
        drop(open);
        assert_eq!(places.metrics.open.get(), 0);
        assert_eq!(places.permits.available_permits(), 4);
        let register = places.register();
        assert!(register.open.is_empty() && register.unproven.is_empty());
    }
}
