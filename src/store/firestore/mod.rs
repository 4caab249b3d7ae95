//! Cloud Firestore, to come.
