//! Words both programs agree on: window, verdict, policy, arm, names and units.
