//! What a plain `cargo test` leaves out, so that its result says so.

#[cfg(not(feature = "e2e"))]
#[test]
#[ignore = "needs Go and, the first time, several minutes: cargo test --features e2e"]
fn a_real_api_server_is_asked() {}

#[cfg(not(feature = "node"))]
#[test]
#[ignore = "needs Go, root on Linux and runc: cargo test --features node"]
fn images_are_really_pulled() {}
