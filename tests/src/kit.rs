//! What integration tests and the demo share: processes, load, receivers, peers.

pub mod load;
pub mod peers;
pub mod process;
pub mod receiver;
