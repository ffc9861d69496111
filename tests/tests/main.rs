//! Integration tests: the real programs, as processes.

mod tidy;
