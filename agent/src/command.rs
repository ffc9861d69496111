//! The commands beside `run`.

pub mod convert;
mod output;
pub mod scrape;
