//! What the harness itself promises: running pods, rights, the audit log, the tools.

use super::*;

#[tokio::test]
async fn a_tenant_runs_with_pods_an_hpa_and_a_scale_status() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let tenant = cluster.tenant("runs", &[("tenant", "acme")], 3).await?;
    let signs = tenant.signs().await?;
    assert_eq!(signs.paused_replica_count, None);
    assert!(signs.hpa_exists);
    assert_eq!((signs.scale_spec, signs.scale_status, signs.pods), (Some(3), Some(3), 3));
    assert_eq!(tenant.running_pods().await?, 3);
    assert!(!signs.stopped());
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
async fn the_version_of_keda_is_read_from_its_deployment_with_the_rights_of_breakerbox() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let client = cluster.client_for(Role::Breakerbox).await?;
    let deployments: Api<Deployment> = Api::namespaced(client, "keda");
    let operator = deployments.get("keda-operator").await?;
    assert_eq!(operator.labels()["app.kubernetes.io/version"], "2.21.0");
    let template = operator.spec.map(|spec| spec.template).and_then(|template| template.spec);
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
        ensure!(error.is_empty() || error.contains("SlackObjectFormationError"), "{error}");
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
    let ours: Vec<_> = writes.iter().filter(|write| write.namespace == "audited").collect();
    let codes: Vec<u16> = ours.iter().map(|write| write.code).collect();
    assert_eq!(codes, [200, refused.code]);
    for write in ours {
        assert_eq!((write.verb.as_str(), write.name.as_str()), ("patch", "agent"));
        assert_eq!((write.resource.as_str(), write.subresource.as_str()), ("scaledobjects", ""));
    }
    api.get("agent").await?;
    let requests = cluster.requests_by("breakerbox").await?;
    let read = |verb: &str| requests.iter().any(|one| one.namespace == "audited" && one.verb == verb);
    assert!(read("get") && read("patch"));
    // The servers write under names of their own.
    let by_keda = cluster.writes_by("keda-operator").await?;
    assert!(by_keda.iter().any(|one| one.namespace == "audited" && one.subresource == "status"));
    Ok(())
}
