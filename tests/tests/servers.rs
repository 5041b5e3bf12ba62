//! The harness of real servers, against what `actions` relies on: how a pause is proven, and with
//! which codes the API server answers the writes that must not pass.
//!
//! The figures printed with `--nocapture` are this machine's, not limits.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use kube::core::{DynamicObject, Status};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tests::servers::{
    Cluster, Installed, Role, Tenant, WorkloadSpec, dead_trigger, scaled_object_resource,
    wait_until,
};

const PAUSED_REPLICAS: &str = "autoscaling.keda.sh/paused-replicas";

/// KEDA 2.21 proves a pause within 0.2 s on an idle machine; compilers may run beside.
const PROVEN: Duration = Duration::from_secs(30);

/// The ScaledObjects of the tenant's namespace, with the daemon's own rights.
async fn as_breakerbox(cluster: &Cluster, tenant: &Tenant) -> Result<Api<DynamicObject>> {
    let client = cluster.client_for(Role::Breakerbox).await?;
    let resource = scaled_object_resource();
    Ok(Api::namespaced_with(client, &tenant.namespace, &resource))
}

/// An apply configuration of the ScaledObject `agent` with these metadata fields added.
fn configuration(metadata: Value) -> Value {
    let mut object = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "agent"},
    });
    if let (Some(all), Value::Object(more)) = (object["metadata"].as_object_mut(), metadata) {
        all.extend(more);
    }
    object
}

/// The configuration of a pause at `replicas`, bound to the object as it was read.
fn pause(read: &DynamicObject, replicas: &str) -> Value {
    configuration(json!({
        "uid": read.uid(), "resourceVersion": read.resource_version(),
        "annotations": {PAUSED_REPLICAS: replicas},
    }))
}

/// The configuration that gives up all that the manager owns.
fn release(read: &DynamicObject) -> Value {
    configuration(json!({"uid": read.uid(), "resourceVersion": read.resource_version()}))
}

async fn apply(
    api: &Api<DynamicObject>,
    manager: &str,
    configuration: &Value,
) -> kube::Result<DynamicObject> {
    let params = PatchParams::apply(manager);
    api.patch("agent", &params, &Patch::Apply(configuration))
        .await
}

/// Reads the object and applies what `make` says of it, again while the status moves its
/// resourceVersion between the two.
async fn apply_current(
    api: &Api<DynamicObject>,
    manager: &str,
    make: impl Fn(&DynamicObject) -> Value,
) -> Result<DynamicObject> {
    for _ in 0..20 {
        let read = api.get("agent").await?;
        match apply(api, manager, &make(&read)).await {
            Err(kube::Error::Api(status)) if status.code == 409 && causes(&status).is_empty() => {}
            other => return Ok(other?),
        }
    }
    bail!("20 times a stale resourceVersion")
}

async fn pause_now(api: &Api<DynamicObject>) -> Result<DynamicObject> {
    apply_current(api, "breakerbox", |read| pause(read, "0")).await
}

fn refusal(answer: kube::Result<DynamicObject>) -> Result<Box<Status>> {
    match answer {
        Ok(object) => bail!("accepted, but should not: {object:?}"),
        Err(kube::Error::Api(status)) => {
            println!(
                "{} {} {:?}: {}",
                status.code,
                status.reason,
                causes(&status),
                status.message
            );
            Ok(status)
        }
        Err(other) => Err(other.into()),
    }
}

fn causes(status: &Status) -> Vec<(String, String)> {
    let causes = status
        .details
        .as_ref()
        .map(|details| details.causes.as_slice());
    let pair =
        |cause: &kube::core::response::StatusCause| (cause.reason.clone(), cause.field.clone());
    causes.unwrap_or_default().iter().map(pair).collect()
}

#[tokio::test]
async fn a_tenant_runs_with_pods_an_hpa_and_a_scale_status() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let tenant = cluster.tenant("runs", &[("tenant", "acme")], 3).await?;
    let signs = tenant.signs().await?;
    assert_eq!(signs.paused_replica_count, None);
    assert!(signs.hpa_exists);
    assert_eq!(
        (signs.scale_spec, signs.scale_status, signs.pods),
        (Some(3), Some(3), 3)
    );
    assert_eq!(tenant.running_pods().await?, 3);
    assert!(!signs.stopped());
    Ok(())
}

#[tokio::test]
async fn a_stateful_set_runs_and_stops_like_a_deployment() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let admin = cluster.admin().await?;
    admin.namespace("stateful", &[]).await?;
    let mut spec = WorkloadSpec::new("agent", 2);
    spec.stateful = true;
    let tenant = admin.workload("stateful", &spec).await?;
    tenant.wait_running(2).await?;
    pause_now(&as_breakerbox(cluster, &tenant).await?).await?;
    tenant.wait_stopped(PROVEN).await?;
    assert_eq!(tenant.scale().await?["spec"], json!({}));
    Ok(())
}

#[tokio::test]
async fn a_pause_is_proven_by_all_four_signs_and_its_removal_gives_all_back() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let tenant = cluster.tenant("paused", &[], 2).await?;
    let before = tenant.scaled_object().await?;
    let api = as_breakerbox(cluster, &tenant).await?;

    pause_now(&api).await?;
    println!(
        "pause proven after {:?}",
        tenant.wait_stopped(PROVEN).await?
    );

    let released = apply_current(&api, "breakerbox", release).await?;
    assert_eq!(released.annotations().get(PAUSED_REPLICAS), None);
    let hpa = wait_until("the HPA is back", PROVEN, async || {
        tenant.hpa_exists().await
    })
    .await?;
    println!(
        "HPA back after {hpa:?}, pods after {:?}",
        tenant.wait_running(2).await?
    );

    let after = tenant.scaled_object().await?;
    assert_eq!(after.data["spec"], before.data["spec"]);
    assert_eq!(after.annotations(), before.annotations());
    assert_eq!(after.labels(), before.labels());
    Ok(())
}

#[tokio::test]
async fn the_scale_of_a_workload_at_zero_has_no_replicas_field_in_its_spec() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let tenant = cluster.tenant("absent", &[], 1).await?;
    pause_now(&as_breakerbox(cluster, &tenant).await?).await?;
    tenant.wait_stopped(PROVEN).await?;
    let scale = tenant.scale().await?;
    println!("scale at zero: {scale}");
    assert_eq!(scale["spec"], json!({}));
    // The status has it, as 0, for a Deployment; a proof takes absent for 0 in both places.
    assert_eq!(scale["status"]["replicas"].as_i64().unwrap_or(0), 0);
    assert!(scale["status"].get("selector").is_some());
    // What the daemon reads with: absent must come out as 0, not as an error.
    let apps = cluster.client_for(Role::Breakerbox).await?;
    let apps: Api<Deployment> = Api::namespaced(apps, &tenant.namespace);
    let typed = apps.get_scale("agent").await?;
    assert_eq!(typed.spec.and_then(|spec| spec.replicas).unwrap_or(0), 0);
    assert_eq!(typed.status.map(|status| status.replicas), Some(0));
    Ok(())
}

/// KEDA does not watch the workload, so a raise stays. One in the first moments of a pause may
/// still be undone: the status writes of the pause itself make KEDA reconcile two or three times
/// more, up to 0.3 s after all four signs said stopped (seen in the audit log).
#[tokio::test]
async fn keda_does_not_undo_a_raise_once_it_has_settled_into_a_pause() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let tenant = cluster.tenant("raised", &[], 1).await?;
    let other = cluster.tenant("raised-other", &[], 1).await?;
    pause_now(&as_breakerbox(cluster, &tenant).await?).await?;
    tenant.wait_stopped(PROVEN).await?;
    for _ in 0..5 {
        let scale = ["scale", "deployment/agent", "-n", "raised", "--replicas=2"];
        cluster.kubectl(Role::Person, &scale).await?;
        wait_until("the raise is carried out or undone", PROVEN, async || {
            Ok(tenant.running_pods().await? == 2 || tenant.replicas().await? == 0)
        })
        .await?;
        // Another pause from start to proof: KEDA has worked through its queue meanwhile.
        let others = as_breakerbox(cluster, &other).await?;
        pause_now(&others).await?;
        other.wait_stopped(PROVEN).await?;
        apply_current(&others, "breakerbox", release).await?;
        other.wait_running(1).await?;
        let signs = tenant.signs().await?;
        if signs.scale_spec == Some(2) {
            assert_eq!(
                (signs.paused_replica_count, signs.hpa_exists),
                (Some(0), false)
            );
            assert_eq!((signs.pods, signs.stopped()), (2, false));
            return Ok(());
        }
        println!("KEDA undid the raise: {signs:?}");
    }
    bail!("KEDA undid five raises while paused")
}

#[tokio::test]
async fn an_apply_with_another_uid_is_invalid_and_writes_nothing() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let tenant = cluster.tenant("other-uid", &[], 1).await?;
    let api = as_breakerbox(cluster, &tenant).await?;
    let other = "00000000-0000-4000-8000-000000000000";
    let mut wanted = configuration(json!({"uid": other, "annotations": {PAUSED_REPLICAS: "0"}}));
    let without_version = refusal(apply(&api, "breakerbox", &wanted).await)?;
    wanted["metadata"]["resourceVersion"] = json!(api.get("agent").await?.resource_version());
    let with_current_version = refusal(apply(&api, "breakerbox", &wanted).await)?;
    for status in [without_version, with_current_version] {
        assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
        let cause = ("FieldValueInvalid".to_owned(), "metadata.uid".to_owned());
        assert!(causes(&status).contains(&cause), "{status:?}");
    }
    // The version is judged first: an object that was replaced answers as a stale one does, and
    // reading it again shows the other UID.
    wanted["metadata"]["resourceVersion"] = json!("1");
    let with_stale_version = refusal(apply(&api, "breakerbox", &wanted).await)?;
    assert_eq!(
        (with_stale_version.code, causes(&with_stale_version)),
        (409, vec![])
    );
    let read = api.get("agent").await?;
    assert_eq!(read.annotations().get(PAUSED_REPLICAS), None);
    Ok(())
}

#[tokio::test]
async fn an_apply_with_a_stale_resource_version_is_a_conflict_without_causes() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let tenant = cluster.tenant("stale", &[], 1).await?;
    let api = as_breakerbox(cluster, &tenant).await?;
    let read = api.get("agent").await?;
    let note = [
        "annotate",
        "scaledobject/agent",
        "-n",
        "stale",
        "note=changed",
    ];
    cluster.kubectl(Role::Person, &note).await?;
    let status = refusal(apply(&api, "breakerbox", &pause(&read, "0")).await)?;
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(causes(&status), []);
    assert_eq!(
        api.get("agent").await?.annotations().get(PAUSED_REPLICAS),
        None
    );
    Ok(())
}

#[tokio::test]
async fn a_key_that_another_manager_holds_at_another_value_is_a_conflict_with_its_cause()
-> Result<()> {
    let cluster = Cluster::shared().await?;
    let tenant = cluster.tenant("foreign", &[], 2).await?;
    let note = [
        "annotate",
        "scaledobject/agent",
        "-n",
        "foreign",
        "--field-manager=argo",
    ];
    let key = format!("{PAUSED_REPLICAS}=2");
    cluster
        .kubectl(Role::Person, &[&note[..], &[&key]].concat())
        .await?;
    let api = as_breakerbox(cluster, &tenant).await?;
    wait_until("KEDA saw the pause at 2", PROVEN, async || {
        Ok(tenant.signs().await?.paused_replica_count == Some(2))
    })
    .await?;
    let mut read = api.get("agent").await?;
    let status = loop {
        let status = refusal(apply(&api, "breakerbox", &pause(&read, "0")).await)?;
        if !causes(&status).is_empty() {
            break status;
        }
        read = api.get("agent").await?;
    };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    let field = format!(".metadata.annotations.{PAUSED_REPLICAS}");
    assert_eq!(
        causes(&status),
        [("FieldManagerConflict".to_owned(), field)]
    );
    let message = &status
        .details
        .as_ref()
        .map(|all| all.causes[0].message.clone());
    assert!(
        message
            .as_deref()
            .is_some_and(|text| text.contains("\"argo\"")),
        "{message:?}"
    );
    assert_eq!(api.get("agent").await?.annotations()[PAUSED_REPLICAS], "2");
    Ok(())
}

#[tokio::test]
async fn a_key_that_another_manager_holds_at_our_value_is_shared_and_survives_our_release()
-> Result<()> {
    let cluster = Cluster::shared().await?;
    let tenant = cluster.tenant("shared", &[], 1).await?;
    let note = [
        "annotate",
        "scaledobject/agent",
        "-n",
        "shared",
        "--field-manager=argo",
    ];
    let key = format!("{PAUSED_REPLICAS}=0");
    cluster
        .kubectl(Role::Person, &[&note[..], &[&key]].concat())
        .await?;
    let api = as_breakerbox(cluster, &tenant).await?;
    pause_now(&api).await?;
    tenant.wait_stopped(PROVEN).await?;
    let owners = |object: &DynamicObject| -> Vec<String> {
        let owns = |fields: &Value| {
            fields["f:metadata"]["f:annotations"]
                .get(format!("f:{PAUSED_REPLICAS}"))
                .is_some()
        };
        let entries = object.managed_fields().iter();
        let owning = entries.filter(|entry| {
            entry
                .fields_v1
                .as_ref()
                .is_some_and(|fields| owns(&fields.0))
        });
        owning.filter_map(|entry| entry.manager.clone()).collect()
    };
    let mut both = owners(&api.get("agent").await?);
    both.sort();
    assert_eq!(both, ["argo", "breakerbox"]);
    let released = apply_current(&api, "breakerbox", release).await?;
    assert_eq!(released.annotations()[PAUSED_REPLICAS], "0");
    assert_eq!(owners(&released), ["argo"]);
    Ok(())
}

#[tokio::test]
async fn an_apply_to_an_object_that_is_gone_is_a_conflict_and_creates_nothing() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let tenant = cluster.tenant("missing", &[], 1).await?;
    let api = as_breakerbox(cluster, &tenant).await?;
    let read = api.get("agent").await?;
    let admin = cluster.admin().await?.scaled_objects("missing");
    admin
        .delete("agent", &kube::api::DeleteParams::default())
        .await?;
    wait_until("the ScaledObject is gone", PROVEN, async || {
        Ok(admin.get_opt("agent").await?.is_none())
    })
    .await?;
    let bound = pause(&read, "0");
    let mut without_uid = bound.clone();
    without_uid["metadata"]
        .as_object_mut()
        .map(|all| all.remove("uid"));

    let status = refusal(apply(&api, "breakerbox", &bound).await)?;
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(causes(&status), []);
    assert!(
        status.message.contains("uid mismatch"),
        "{}",
        status.message
    );
    // Without the UID it would be a create. A ScaledObject has a required spec, so even a user
    // who may create gets no object out of ours; a kind without one would be made.
    for user in [&api, &admin] {
        let status = refusal(apply(user, "breakerbox", &without_uid).await)?;
        assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
        let cause = ("FieldValueRequired".to_owned(), "spec".to_owned());
        assert!(causes(&status).contains(&cause), "{status:?}");
    }
    assert_eq!(
        refusal(apply(&admin, "breakerbox", &bound).await)?.code,
        409
    );
    assert!(admin.get_opt("agent").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn the_rights_of_breakerbox_end_where_its_role_does() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let tenant = cluster.tenant("rights", &[], 1).await?;
    let can = async |what: &[&str]| {
        let question = [&["auth", "can-i", "-n", "rights"], what].concat();
        cluster.kubectl(Role::Breakerbox, &question).await.is_ok()
    };
    assert!(can(&["patch", "scaledobjects.keda.sh"]).await);
    assert!(can(&["update", "deployments.apps/agent", "--subresource=scale"]).await);
    assert!(!can(&["update", "scaledobjects.keda.sh"]).await);
    assert!(!can(&["create", "scaledobjects.keda.sh"]).await);
    assert!(!can(&["patch", "deployments.apps"]).await);
    assert!(!can(&["delete", "pods"]).await);
    assert!(!can(&["list", "horizontalpodautoscalers.autoscaling"]).await);
    assert!(!can(&["create", "leases.coordination.k8s.io"]).await);
    assert!(can(&["create", "leases.coordination.k8s.io", "-n", "breakerbox"]).await);
    assert!(can(&["update", "configmaps", "-n", "breakerbox"]).await);
    let nobody = cluster.client_for(Role::Nobody).await?;
    let nobody: Api<DynamicObject> =
        Api::namespaced_with(nobody, &tenant.namespace, &scaled_object_resource());
    assert_eq!(refusal(nobody.get("agent").await)?.code, 403);
    Ok(())
}

#[tokio::test]
async fn the_version_of_keda_is_read_from_its_deployment_with_the_rights_of_breakerbox()
-> Result<()> {
    let cluster = Cluster::shared().await?;
    let client = cluster.client_for(Role::Breakerbox).await?;
    let deployments: Api<Deployment> = Api::namespaced(client, "keda");
    let operator = deployments.get("keda-operator").await?;
    assert_eq!(operator.labels()["app.kubernetes.io/version"], "2.21.0");
    let template = operator
        .spec
        .map(|spec| spec.template)
        .and_then(|template| template.spec);
    let image = template.and_then(|pod| pod.containers[0].image.clone());
    assert_eq!(image.as_deref(), Some("ghcr.io/kedacore/keda:2.21.0"));
    Ok(())
}

#[test]
fn slack_sdk_accepts_a_good_block_and_refuses_one_over_a_limit_of_slack() -> Result<()> {
    let valid = |text: String| -> Result<bool> {
        let blocks = json!([{"type": "header", "text": {"type": "plain_text", "text": text}}]);
        let script = "import json, sys; from slack_sdk.models.blocks import Block; \
            [b.validate_json() for b in Block.parse_all(json.loads(sys.argv[1]))]";
        let python = std::process::Command::new(Installed::find()?.python())
            .args(["-c", script, &blocks.to_string()])
            .output()?;
        let error = String::from_utf8_lossy(&python.stderr).into_owned();
        ensure!(
            error.is_empty() || error.contains("SlackObjectFormationError"),
            "{error}"
        );
        Ok(python.status.success())
    };
    assert!(valid("tenant acme is stopped".to_owned())?);
    // A header has at most 150 characters.
    assert!(!valid("x".repeat(151))?);
    Ok(())
}

#[tokio::test]
async fn the_audit_log_lists_each_write_of_a_user_with_its_answer() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let tenant = cluster.tenant("audited", &[], 1).await?;
    let api = as_breakerbox(cluster, &tenant).await?;
    let mut wanted = configuration(json!({"annotations": {PAUSED_REPLICAS: "0"}}));
    apply(&api, "breakerbox", &wanted).await?;
    wanted["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
    let refused = refusal(apply(&api, "breakerbox", &wanted).await)?;
    let writes = cluster.writes_by("breakerbox").await?;
    let ours: Vec<_> = writes
        .iter()
        .filter(|write| write.namespace == "audited")
        .collect();
    let codes: Vec<u16> = ours.iter().map(|write| write.code).collect();
    assert_eq!(codes, [200, refused.code]);
    for write in ours {
        assert_eq!(
            (write.verb.as_str(), write.name.as_str()),
            ("patch", "agent")
        );
        assert_eq!(
            (write.resource.as_str(), write.subresource.as_str()),
            ("scaledobjects", "")
        );
    }
    api.get("agent").await?;
    let requests = cluster.requests_by("breakerbox").await?;
    let read = |verb: &str| {
        requests
            .iter()
            .any(|one| one.namespace == "audited" && one.verb == verb)
    };
    assert!(read("get") && read("patch"));
    // The servers write under names of their own.
    let by_keda = cluster.writes_by("keda-operator").await?;
    assert!(
        by_keda
            .iter()
            .any(|one| one.namespace == "audited" && one.subresource == "status")
    );
    Ok(())
}

#[tokio::test]
async fn a_workload_whose_scaler_is_dead_runs_without_an_hpa() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let admin = cluster.admin().await?;
    admin.namespace("dead-scaler", &[]).await?;
    let mut spec = WorkloadSpec::new("agent", 1);
    spec.triggers = vec![dead_trigger()];
    let tenant = admin.workload("dead-scaler", &spec).await?;
    wait_until("KEDA gives up on the scaler", PROVEN, async || {
        let object = tenant.scaled_object().await?;
        let conditions = object.data["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        Ok(conditions
            .iter()
            .any(|c| c["type"] == "Ready" && c["status"] == "False"))
    })
    .await?;
    wait_until("the pod runs", PROVEN, async || {
        Ok(tenant.running_pods().await? == 1)
    })
    .await?;
    assert!(!tenant.hpa_exists().await?);
    Ok(())
}

/// The one test with a cluster of its own, since it kills the operator.
#[tokio::test]
async fn without_its_operator_a_pause_is_accepted_and_stops_nothing() -> Result<()> {
    let started = Instant::now();
    let cluster = Cluster::start().await?;
    println!("a cluster of its own started in {:?}", started.elapsed());
    let tenant = cluster.tenant("no-operator", &[], 1).await?;
    cluster.stop_operator();
    pause_now(&as_breakerbox(&cluster, &tenant).await?).await?;
    // The scheduler and the controller manager still work: a second pod comes and goes.
    for replicas in ["2", "1"] {
        let scale = [
            "scale",
            "deployment/agent",
            "-n",
            "no-operator",
            "--replicas",
            replicas,
        ];
        cluster.kubectl(Role::Person, &scale).await?;
        let wanted: usize = replicas.parse()?;
        wait_until("the pods follow", PROVEN, async || {
            Ok(tenant.running_pods().await? == wanted)
        })
        .await?;
    }
    let signs = tenant.signs().await?;
    assert_eq!(
        (signs.paused_replica_count, signs.hpa_exists, signs.pods),
        (None, true, 1)
    );
    cluster.start_operator().await?;
    println!(
        "after the operator's start: {:?}",
        tenant.wait_stopped(PROVEN).await?
    );

    let folder = cluster.folder().to_owned();
    let api = cluster.client().await?;
    drop(cluster);
    ensure!(
        api.apiserver_version().await.is_err(),
        "the API server outlived its cluster"
    );
    // Kept only where another test of this process has failed.
    let kept = folder.join("KEEP").exists();
    ensure!(
        kept || !folder.exists(),
        "{} was left behind",
        folder.display()
    );
    Ok(())
}
