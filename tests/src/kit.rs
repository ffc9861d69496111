//! What integration tests and the demo share: processes, load, receivers, peers.

pub mod agent;
pub mod capture;
pub mod gate;
pub mod http;
pub mod load;
pub mod machine;
pub mod oracle;
pub mod peers;
pub mod process;
pub mod prometheus;
pub mod receiver;
pub mod sender;
pub mod shop;
pub mod usage;
