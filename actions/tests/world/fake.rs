//! An API server in memory, as far as this crate uses one: optimistic concurrency, server-side apply of
//! annotations with their owners, `/scale`, lists in pages; and a KEDA that acts at once, or not at all.
//!
//! What it answers to a wrong version, UID or owner is what a real one answers; `scenarios.rs` runs against
//! both.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use kube::Client;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers};

pub const PAUSED_REPLICAS: &str = "autoscaling.keda.sh/paused-replicas";

/// How the operator behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keda {
    /// As 2.20 and later do, at once.
    Prompt,
    /// It deletes the HPA and says that it paused, and loses the race for the workload.
    Racy,
    /// It says `Paused=True` and does nothing else.
    Talker,
    /// It is not there, or ignores the object.
    Dead,
}

type Change = Box<dyn FnOnce(&mut State) + Send>;

/// The server's memory.
pub struct State {
    version: u64,
    /// By path.
    objects: BTreeMap<String, Value>,
    /// Path and annotation → managers.
    owners: BTreeMap<(String, String), BTreeSet<String>>,
    pub keda: Keda,
    /// Whether KEDA makes an HPA when an object is released (a dead scaler keeps it from that).
    pub scaler_answers: bool,
    /// Each write: method and path.
    pub writes: Vec<String>,
    /// Any write is refused with 500.
    pub read_only: bool,
    /// What happens just before the next writes are looked at.
    pub before_write: VecDeque<Change>,
    /// Answers instead of the true ones to the next requests of this method whose path ends so.
    pub faults: VecDeque<(&'static str, &'static str, u16)>,
    /// The write is done, and then this is answered.
    pub lost_answers: usize,
    pub page: usize,
}

/// The server.
pub struct Fake {
    pub server: MockServer,
    state: Arc<Mutex<State>>,
}

struct Answering(Arc<Mutex<State>>);

impl Respond for Answering {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let (code, body) = self.0.lock().unwrap().answer(request);
        ResponseTemplate::new(code).set_body_json(body)
    }
}

fn so(namespace: &str, name: &str) -> String {
    format!("/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects/{name}")
}

fn deployment(namespace: &str, name: &str) -> String {
    format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
}

fn hpa(namespace: &str, name: &str) -> String {
    format!("/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/keda-hpa-{name}")
}

impl Fake {
    /// A server with a KEDA 2.21 and our namespace.
    pub async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut state = State {
            version: 100,
            objects: BTreeMap::new(),
            owners: BTreeMap::new(),
            keda: Keda::Prompt,
            scaler_answers: true,
            writes: Vec::new(),
            read_only: false,
            before_write: VecDeque::new(),
            faults: VecDeque::new(),
            lost_answers: 0,
            page: 500,
        };
        state.operator("2.21.0");
        let state = Arc::new(Mutex::new(state));
        let server = MockServer::start().await;
        Mock::given(matchers::any()).respond_with(Answering(Arc::clone(&state))).mount(&server).await;
        Self { server, state }
    }

    pub fn client(&self) -> Client {
        let uri: http::Uri = self.server.uri().parse().unwrap();
        actions::gateway::client(kube::Config::new(uri)).unwrap()
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    // Short looks, each under a lock of its own: two guards in one expression would wait for each other.

    pub fn replicas(&self, namespace: &str) -> i64 {
        self.state().replicas(namespace)
    }

    pub fn scaled_object(&self, namespace: &str) -> Value {
        self.state().scaled_object(namespace)
    }

    pub fn writes(&self) -> Vec<String> {
        self.state().writes.clone()
    }

    /// A namespace with a Deployment of some replicas, its HPA and its ScaledObject; gives back its UID.
    pub fn tenant(&self, namespace: &str, replicas: i64) -> String {
        let mut state = self.state();
        state.put(
            &format!("/api/v1/namespaces/{namespace}"),
            json!({"metadata": {"name": namespace, "labels": {}}}),
        );
        state.put(
            &deployment(namespace, "agent"),
            json!({"metadata": {"name": "agent", "namespace": namespace}, "spec": {"replicas": replicas}}),
        );
        state.put(&hpa(namespace, "agent"), json!({"metadata": {"name": "keda-hpa-agent"}}));
        let path = so(namespace, "agent");
        state.put(
            &path,
            json!({
                "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
                "metadata": {"name": "agent", "namespace": namespace, "labels": {"app": "agent"}},
                "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "agent"},
                    "minReplicaCount": replicas, "maxReplicaCount": replicas + 3},
                "status": {"hpaName": "keda-hpa-agent",
                    "conditions": [{"type": "Paused", "status": "Unknown"}, {"type": "Active", "status": "True"}]},
            }),
        );
        state.objects[&path]["metadata"]["uid"].as_str().unwrap().to_owned()
    }
}

impl State {
    /// KEDA's Deployment shows that version.
    pub fn operator(&mut self, version: &str) {
        let image = format!("ghcr.io/kedacore/keda:{version}");
        let spec = json!({"replicas": 1, "selector": {"matchLabels": {"app": "keda"}},
            "template": {"metadata": {}, "spec": {"containers": [{"name": "keda", "image": image}]}}});
        let metadata = json!({"name": "keda-operator", "namespace": "keda"});
        self.put(&deployment("keda", "keda-operator"), json!({"metadata": metadata, "spec": spec}));
    }

    fn next(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    /// Stores an object as a new version; a new one gets a UID.
    pub fn put(&mut self, path: &str, mut object: Value) {
        let version = self.next();
        let uid = self.objects.get(path).map(|old| old["metadata"]["uid"].clone());
        object["metadata"]["uid"] = uid.unwrap_or_else(|| json!(format!("uid-{version}")));
        object["metadata"]["resourceVersion"] = json!(version);
        self.objects.insert(path.to_owned(), object);
    }

    /// The object of a path.
    pub fn object(&self, path: &str) -> Option<Value> {
        self.objects.get(path).cloned()
    }

    /// Changes the object of a path, as somebody else would.
    pub fn edit(&mut self, path: &str, edit: impl FnOnce(&mut Value)) {
        let mut object = self.objects[path].clone();
        edit(&mut object);
        self.put(path, object);
    }

    pub fn remove(&mut self, path: &str) {
        self.objects.remove(path);
    }

    pub fn remove_scaled_object(&mut self, namespace: &str) {
        self.remove(&so(namespace, "agent"));
        self.owners.retain(|(path, _), _| *path != so(namespace, "agent"));
    }

    pub fn remove_workload(&mut self, namespace: &str) {
        self.remove(&deployment(namespace, "agent"));
    }

    pub fn remove_hpa(&mut self, namespace: &str) {
        self.remove(&hpa(namespace, "agent"));
    }

    pub fn namespace_label(&mut self, namespace: &str, key: &str, value: &str) {
        let path = format!("/api/v1/namespaces/{namespace}");
        self.objects.get_mut(&path).unwrap()["metadata"]["labels"][key] = json!(value);
    }

    pub fn workload_label(&mut self, namespace: &str, key: &str, value: &str) {
        let path = deployment(namespace, "agent");
        self.objects.get_mut(&path).unwrap()["metadata"]["labels"][key] = json!(value);
    }

    /// The ScaledObject as it is, with its managed fields.
    pub fn scaled_object(&self, namespace: &str) -> Value {
        self.shown(&so(namespace, "agent")).expect("the ScaledObject is there")
    }

    pub fn edit_scaled_object(&mut self, namespace: &str, edit: impl FnOnce(&mut Value)) {
        let path = so(namespace, "agent");
        let mut object = self.objects[&path].clone();
        edit(&mut object);
        self.put(&path, object);
    }

    /// Somebody sets (or removes) an annotation as `kubectl annotate` does; KEDA sees it.
    pub fn annotate(&mut self, namespace: &str, manager: &str, key: &str, value: Option<&str>) {
        let path = so(namespace, "agent");
        self.edit_scaled_object(namespace, |object| match value {
            Some(value) => object["metadata"]["annotations"][key] = json!(value),
            None => {
                object["metadata"]["annotations"].as_object_mut().unwrap().remove(key);
            }
        });
        let owners = self.owners.entry((path.clone(), key.to_owned())).or_default();
        owners.clear();
        owners.extend(value.map(|_| manager.to_owned()));
        self.reconcile(&path);
    }

    pub fn replicas(&self, namespace: &str) -> i64 {
        self.objects[&deployment(namespace, "agent")]["spec"]["replicas"].as_i64().unwrap()
    }

    pub fn scale_workload(&mut self, namespace: &str, replicas: i64) {
        let path = deployment(namespace, "agent");
        let mut object = self.objects[&path].clone();
        object["spec"]["replicas"] = json!(replicas);
        self.put(&path, object);
    }

    pub fn hpa_exists(&self, namespace: &str) -> bool {
        self.objects.contains_key(&hpa(namespace, "agent"))
    }

    /// What the operator does once it sees an object.
    fn reconcile(&mut self, path: &str) {
        let Some(object) = self.objects.get(path).filter(|_| self.keda != Keda::Dead) else { return };
        let mut object = object.clone();
        let namespace = object["metadata"]["namespace"].as_str().unwrap().to_owned();
        let pause = object["metadata"]["annotations"][PAUSED_REPLICAS].as_str().map(str::to_owned);
        let was_paused = object["status"]["conditions"][0]["status"] == "True";
        match pause.and_then(|n| n.parse::<i64>().ok()) {
            Some(count) => {
                object["status"]["conditions"][0]["status"] = json!("True");
                if self.keda != Keda::Talker {
                    self.remove_hpa(&namespace);
                    object["status"]["pausedReplicaCount"] = json!(count);
                }
                if self.keda == Keda::Prompt && self.objects.contains_key(&deployment(&namespace, "agent")) {
                    self.scale_workload(&namespace, count);
                }
            }
            None if was_paused => {
                object["status"]["conditions"][0]["status"] = json!("False");
                object["status"].as_object_mut().unwrap().remove("pausedReplicaCount");
                if self.scaler_answers {
                    self.put(&hpa(&namespace, "agent"), json!({"metadata": {"name": "keda-hpa-agent"}}));
                    self.scale_workload(&namespace, object["spec"]["minReplicaCount"].as_i64().unwrap());
                }
            }
            None => return,
        }
        self.put(path, object);
    }

    fn shown(&self, path: &str) -> Option<Value> {
        let mut object = self.objects.get(path)?.clone();
        let mut fields: BTreeMap<&str, Value> = BTreeMap::new();
        for ((of, key), managers) in &self.owners {
            for manager in managers.iter().filter(|_| of == path) {
                let entry =
                    fields.entry(manager).or_insert_with(|| json!({"f:metadata": {"f:annotations": {}}}));
                entry["f:metadata"]["f:annotations"][format!("f:{key}")] = json!({});
            }
        }
        let entry = |(manager, fields): (&str, Value)| json!({"manager": manager, "fieldsV1": fields});
        object["metadata"]["managedFields"] = fields.into_iter().map(entry).collect();
        Some(object)
    }

    fn answer(&mut self, request: &Request) -> (u16, Value) {
        let (method, path) = (request.method.as_str(), request.url.path().to_owned());
        let writes = method != "GET";
        if writes {
            self.writes.push(format!("{method} {path}"));
            if let Some(change) = self.before_write.pop_front() {
                change(self);
            }
        }
        if let Some(at) = self.faults.iter().position(|(m, end, _)| *m == method && path.ends_with(end)) {
            let (_, _, code) = self.faults.remove(at).unwrap();
            return refusal(code, "Fault", "as the test wants it");
        }
        if writes && self.read_only {
            return refusal(500, "InternalError", "this server takes no write");
        }
        let answer = self.route(method, &path, request);
        if writes && answer.0 < 300 && self.lost_answers > 0 {
            self.lost_answers -= 1;
            return refusal(504, "Timeout", "the answer was lost");
        }
        answer
    }

    fn route(&mut self, method: &str, path: &str, request: &Request) -> (u16, Value) {
        let body = || serde_json::from_slice::<Value>(&request.body).unwrap();
        let query: BTreeMap<String, String> = request.url.query_pairs().into_owned().collect();
        match (method, path.strip_suffix("/scale")) {
            ("GET", Some(workload)) => self.scale_of(workload),
            ("PUT", Some(workload)) => self.replace_scale(workload, &body()),
            ("GET", None) if path.ends_with("/pods") => self.pods(path, &query),
            ("GET", None) if path == "/apis/keda.sh/v1alpha1/scaledobjects" => self.list(&query),
            ("GET", None) => self.shown(path).map_or_else(|| not_found(path), |object| (200, object)),
            ("POST", None) => self.create(path, body()),
            ("PUT", None) => self.replace(path, body()),
            ("PATCH", None) => self.apply(path, &query["fieldManager"], &body()),
            _ => refusal(405, "MethodNotAllowed", path),
        }
    }

    fn create(&mut self, collection: &str, object: Value) -> (u16, Value) {
        let path = format!("{collection}/{}", object["metadata"]["name"].as_str().unwrap());
        if self.objects.contains_key(&path) {
            return refusal(409, "AlreadyExists", &path);
        }
        self.put(&path, object);
        (201, self.objects[&path].clone())
    }

    fn replace(&mut self, path: &str, object: Value) -> (u16, Value) {
        let Some(old) = self.objects.get(path) else { return not_found(path) };
        if let Some(refused) = precondition(old, &object["metadata"]) {
            return refused;
        }
        self.put(path, object);
        (200, self.objects[path].clone())
    }

    fn scale_of(&self, workload: &str) -> (u16, Value) {
        let Some(object) = self.objects.get(workload) else { return not_found(workload) };
        let replicas = object["spec"]["replicas"].as_i64().unwrap();
        let mut scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": object["metadata"],
            "spec": {}, "status": {"replicas": replicas, "selector": "app=agent"}});
        if replicas > 0 {
            scale["spec"]["replicas"] = json!(replicas);
        }
        (200, scale)
    }

    fn replace_scale(&mut self, workload: &str, scale: &Value) -> (u16, Value) {
        let Some(old) = self.objects.get(workload) else { return not_found(workload) };
        if let Some(refused) = precondition(old, &scale["metadata"]) {
            return refused;
        }
        let mut object = old.clone();
        object["spec"]["replicas"] = json!(scale["spec"]["replicas"].as_i64().unwrap_or(0));
        self.put(workload, object);
        self.scale_of(workload)
    }

    fn pods(&self, path: &str, query: &BTreeMap<String, String>) -> (u16, Value) {
        assert_eq!(query["labelSelector"], "app=agent");
        let namespace = path.split('/').nth(4).unwrap();
        let count = self
            .objects
            .get(&deployment(namespace, "agent"))
            .map_or(0, |d| d["spec"]["replicas"].as_i64().unwrap());
        let items: Vec<Value> =
            (0..count).map(|n| json!({"metadata": {"name": format!("agent-{n}")}})).collect();
        (
            200,
            json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": {}, "items": items}),
        )
    }

    fn list(&self, query: &BTreeMap<String, String>) -> (u16, Value) {
        let all: Vec<&String> = self.objects.keys().filter(|path| path.contains("/scaledobjects/")).collect();
        let from: usize = query.get("continue").map_or(0, |token| token.parse().unwrap());
        let to = (from + self.page).min(all.len());
        let items: Vec<Value> = all[from..to].iter().filter_map(|path| self.shown(path)).collect();
        let token = if to < all.len() { to.to_string() } else { String::new() };
        (
            200,
            json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObjectList",
            "metadata": {"continue": token}, "items": items}),
        )
    }

    /// Server-side apply of `metadata.annotations`, without force.
    fn apply(&mut self, path: &str, manager: &str, wanted: &Value) -> (u16, Value) {
        let Some(old) = self.objects.get(path) else {
            return refusal(409, "Conflict", "Precondition failed: UID in precondition; uid mismatch");
        };
        if let Some(refused) = precondition(old, &wanted["metadata"]) {
            return refused;
        }
        let mut object = old.clone();
        let empty = serde_json::Map::new();
        let wanted = wanted["metadata"]["annotations"].as_object().unwrap_or(&empty);
        for (key, value) in wanted {
            let owners = self.owners.get(&(path.to_owned(), key.clone()));
            let other = owners.into_iter().flatten().find(|owner| *owner != manager);
            if let Some(other) = other.filter(|_| object["metadata"]["annotations"][key] != *value) {
                return owned_by(other, key);
            }
        }
        if !object["metadata"]["annotations"].is_object() {
            object["metadata"]["annotations"] = json!({});
        }
        let annotations = object["metadata"]["annotations"].as_object_mut().unwrap();
        for ((of, key), owners) in &mut self.owners {
            if of == path && !wanted.contains_key(key) && owners.remove(manager) && owners.is_empty() {
                annotations.remove(key);
            }
        }
        for (key, value) in wanted {
            annotations.insert(key.clone(), value.clone());
            self.owners.entry((path.to_owned(), key.clone())).or_default().insert(manager.to_owned());
        }
        if annotations.is_empty() {
            object["metadata"].as_object_mut().unwrap().remove("annotations");
        }
        self.put(path, object);
        let answer = (200, self.shown(path).unwrap());
        self.reconcile(path);
        answer
    }
}

fn precondition(old: &Value, metadata: &Value) -> Option<(u16, Value)> {
    let version = metadata["resourceVersion"].as_str().filter(|v| !v.is_empty());
    if version.is_some_and(|v| old["metadata"]["resourceVersion"] != v) {
        return Some(refusal(409, "Conflict", "the object has been modified"));
    }
    let uid = metadata["uid"].as_str();
    uid.is_some_and(|uid| old["metadata"]["uid"] != uid).then(|| {
        let mut refused = refusal(422, "Invalid", "metadata.uid: field is immutable");
        refused.1["details"] =
            json!({"causes": [{"reason": "FieldValueInvalid", "field": "metadata.uid", "message": ""}]});
        refused
    })
}

fn owned_by(manager: &str, key: &str) -> (u16, Value) {
    let mut refused = refusal(409, "Conflict", "Apply failed with 1 conflict");
    refused.1["details"] = json!({"causes": [{
        "reason": "FieldManagerConflict", "field": format!(".metadata.annotations.{key}"),
        "message": format!("conflict with \"{manager}\""),
    }]});
    refused
}

fn not_found(path: &str) -> (u16, Value) {
    refusal(404, "NotFound", path)
}

fn refusal(code: u16, reason: &str, message: &str) -> (u16, Value) {
    (
        code,
        json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}),
    )
}
