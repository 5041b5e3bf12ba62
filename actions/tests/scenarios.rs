//! The shared scenarios against the API server in memory.

mod world;

use std::time::Duration;

use actions::keda::Timing;
use async_trait::async_trait;
use kube::Client;
use serde_json::{Value, json};
use world::fake::Fake;
use world::scenarios::{self, World};

struct InMemory(Fake);

#[async_trait(?Send)]
impl World for InMemory {
    fn client(&self) -> Client {
        self.0.client()
    }

    fn timing(&self) -> Timing {
        Timing {
            poll: Duration::from_millis(5),
            stop_deadline: Duration::from_millis(400),
            scale_grace: Duration::from_millis(20),
            restore_deadline: Duration::from_millis(400),
        }
    }

    async fn tenant(&self, namespace: &str, replicas: i64) -> String {
        self.0.tenant(namespace, replicas)
    }

    async fn annotate(&self, namespace: &str, manager: &str, key: &str, value: Option<&str>) {
        self.0.state().annotate(namespace, manager, key, value);
    }

    async fn scale(&self, namespace: &str, replicas: i64) {
        self.0.state().scale_workload(namespace, replicas);
    }

    async fn set_max(&self, namespace: &str, max: i64) {
        self.0.state().edit_scaled_object(namespace, |object| object["spec"]["maxReplicaCount"] = json!(max));
    }

    async fn delete_workload(&self, namespace: &str) {
        self.0.state().remove_workload(namespace);
    }

    async fn object(&self, namespace: &str) -> Value {
        self.0.state().scaled_object(namespace)
    }

    async fn replicas(&self, namespace: &str) -> i64 {
        self.0.state().replicas(namespace)
    }

    async fn hpa_exists(&self, namespace: &str) -> bool {
        self.0.state().hpa_exists(namespace)
    }
}

#[tokio::test]
async fn every_scenario_holds_on_the_api_server_in_memory() {
    scenarios::all(&InMemory(Fake::start().await)).await;
}
