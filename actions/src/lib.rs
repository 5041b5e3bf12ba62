//! Turns orders into effects and receipts.
//!
//! [`dispatch::Dispatch`] takes journalled orders and sees each through: the flows in [`keda`] read, ask
//! [`guard`], write by [`gateway::Gateway`], and look until the effect is proven. What happened goes back as
//! receipts. Nothing here decides what to stop; nothing here writes without the guard's yes on the object
//! as it was just read.

pub mod api_error;
mod blast;
pub mod dispatch;
pub mod failpoint;
pub mod freeze;
pub mod gateway;
pub mod guard;
pub mod keda;
pub mod lease;
pub mod live;
pub mod notify;
pub mod now;
pub mod operator;
pub mod receipts;
pub mod scaled_object;
pub mod undo;
mod verify;
pub mod workload;
