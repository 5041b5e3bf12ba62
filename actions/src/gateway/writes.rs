//! The three writes. Each uses up a [`Pass`], and carries the UID and resourceVersion that were judged.

use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::{Gateway, Pass};
use crate::api_error::ApiError;
use crate::guard::Deed;
use crate::scaled_object::Seen;
use crate::undo::{MANAGER, Marks};
use crate::workload::{self, ScaleSeen};

impl Gateway {
    /// Applies the pause with its marks, as our field manager and without force.
    pub(crate) async fn apply_pause(&self, pass: Pass, marks: &Marks) -> Result<Seen, ApiError> {
        debug_assert_eq!(pass.deed, Deed::Stop);
        self.apply(pass, Some(Value::Object(marks.annotations()))).await
    }

    /// Applies the object without our keys: they go unless somebody else owns them too.
    pub(crate) async fn apply_release(&self, pass: Pass) -> Result<Seen, ApiError> {
        self.apply(pass, None).await
    }

    async fn apply(&self, pass: Pass, annotations: Option<Value>) -> Result<Seen, ApiError> {
        let mut metadata = json!({
            "name": &*pass.key.name,
            "namespace": &*pass.key.namespace,
            "uid": pass.uid,
            "resourceVersion": pass.resource_version,
        });
        if let Some(annotations) = annotations {
            metadata["annotations"] = annotations;
        }
        let body = json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": metadata});
        let api = self.scaled_objects(&pass.key.namespace);
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Apply(&body);
        let what = format!("apply {}", pass.key);
        let object = self.ask_to_write(&what, api.patch(&pass.key.name, &params, &patch)).await?;
        Ok(Seen::read(&pass.key, object))
    }

    /// Sets a workload to zero by its `/scale`, under the UID and resourceVersion that were read. The pass
    /// is about the ScaledObject that holds it.
    pub(crate) async fn scale_to_zero(&self, pass: Pass, scale: &ScaleSeen) -> Result<ScaleSeen, ApiError> {
        debug_assert!(matches!(pass.deed, Deed::Stop | Deed::Reverse));
        let key = &scale.key;
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &key.namespace, &workload::resource(key));
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let zero = scale.at_zero();
        let written = self
            .ask_to_write(&format!("scale {key} to 0"), api.replace_scale(&key.name, &params, &zero))
            .await?;
        Ok(ScaleSeen::read(key, written))
    }
}
