//! Integration tests, test kit and the demo.
