//! Annotations that the engine looks for and the actuator writes: one list, because a key that the two
//! spelled differently would lose a hold after a restart and find no orphan.

/// KEDA's annotation that pauses at a number of replicas; its presence alone pauses.
pub const PAUSED_REPLICAS: &str = "autoscaling.keda.sh/paused-replicas";
/// KEDA's annotation that freezes at the current number of replicas.
pub const PAUSED: &str = "autoscaling.keda.sh/paused";
/// Number of the order that paused it.
pub const ORDER: &str = "breakerbox.dev/order";
/// Installation that paused it.
pub const INSTALL: &str = "breakerbox.dev/install";
/// Process of that installation that wrote it (two may overlap in a rolling update).
pub const INSTANCE: &str = "breakerbox.dev/instance";
/// Breakers that held it at the time of the write, with commas between.
pub const HOLDERS: &str = "breakerbox.dev/holders";
/// What it was like before, as JSON.
pub const PRIOR: &str = "breakerbox.dev/prior";
/// Label, not annotation: with the value `true` it always protects.
pub const PROTECTED: &str = "breakerbox.dev/protected";
/// Label of a pod, a workload, a ScaledObject, a namespace or a node: with the value `true` it may be idle.
pub const IDLE_OK: &str = "breakerbox.dev/idle-ok";
