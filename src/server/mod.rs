//! The listener: bytes of HTTP requests in, answers out.
//!
//! ```text
//!  permit ─► accept ─► TLS ─► HTTP/1 or HTTP/2 ─► router ─► body ─► Admit ─► answer
//!  └ limits ┘ └──────────── connection ──────┘  └ refusals ┘ └ room, deadline ┘
//! ```
//!
//! A [`Server`] is bound to an address, which fails at once where it can fail at all, and then served until it is told
//! to end. Everything that a caller can keep busy is bounded by [`Settings`]. The module knows nothing of rules and
//! nothing of where certificates come from: it gets an [`Admit`] and a rustls configuration, which may be swapped.

mod accept;
mod activity;
mod admit;
mod body;
mod connection;
mod drain;
mod limits;
mod refusal;
mod router;
mod settings;
mod wait;

pub use accept::{BindFailed, Bound, Server};
pub use admit::{Admit, Answer};
pub use router::{PATH, PORT, router};
pub use settings::Settings;

/// The protocols to offer in a rustls configuration, in order of preference: the API server offers only `http/1.1`
/// to a Service, and also `h2` to a loopback address.
pub const ALPN_PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];
