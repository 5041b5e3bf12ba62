//! Real Kubernetes servers for tests: etcd, kube-apiserver, controller-manager, scheduler, kwok
//! and KEDA's operator, each the real binary, on free ports of the loopback.
//!
//! Why real: what breakerbox does to production rests on what these servers answer (a 409 or a
//! 422, an HPA that is gone, a field that is absent), and a fake would answer what we believe.
//! The binaries come from `tests/servers/install`; nothing here builds or downloads.
//!
//! One test binary has one cluster ([`Cluster::shared`]) and each test a namespace of its own.
//! The servers die with the test process, however it ends, because each is watched by a small
//! shell that reads a pipe of ours (`process.rs`).
//!
//! Never: a server on an address other than 127.0.0.1, a fixed port, or a wait without a deadline.

mod admin;
mod audit;
mod cluster;
mod config;
mod flags;
mod installed;
mod options;
mod ports;
mod process;
mod ready;
mod tenant;
mod wait;

pub use admin::{Admin, scaled_object_resource};
pub use audit::AuditWrite;
pub use cluster::Cluster;
pub use installed::Installed;
pub use options::{KedaVersion, Role};
pub use ports::free_port;
pub use tenant::{StopSigns, Tenant, WorkloadSpec, cron_trigger, dead_trigger};
pub use wait::{wait_for, wait_until};
