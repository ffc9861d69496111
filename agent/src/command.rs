//! The commands, one file each.

pub mod check_config;
pub mod convert;
pub mod health;
pub mod logs;
mod output;
pub mod run;
pub mod scrape;
pub mod version;
