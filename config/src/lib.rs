//! How configuration is read: YAML with places, environment, all mistakes at once.
