//! With which codes the API server answers the writes that must not pass.

use super::*;

#[tokio::test]
async fn an_apply_with_another_uid_is_invalid_and_writes_nothing() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let tenant = cluster.tenant("other-uid", &[], 1).await?;
    let api = as_breakerbox(cluster, &tenant).await?;
    let other = "00000000-0000-4000-8000-000000000000";
    let mut wanted = configuration(json!({"uid": other, "annotations": {PAUSED_REPLICAS: "0"}}));
    let without_version = refusal(apply(&api, "breakerbox", &wanted).await)?;
    // KEDA may write between the reading and the apply, and then the version is no longer the current one.
    let with_current_version = loop {
        let read = api.get("agent").await?.resource_version();
        wanted["metadata"]["resourceVersion"] = json!(read);
        let status = refusal(apply(&api, "breakerbox", &wanted).await)?;
        if status.code != 409 || api.get("agent").await?.resource_version() == read {
            break status;
        }
    };
    for status in [without_version, with_current_version] {
        assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
        let cause = ("FieldValueInvalid".to_owned(), "metadata.uid".to_owned());
        assert!(causes(&status).contains(&cause), "{status:?}");
    }
    // The version is judged first: an object that was replaced answers as a stale one does, and
    // reading it again shows the other UID.
    wanted["metadata"]["resourceVersion"] = json!("1");
    let with_stale_version = refusal(apply(&api, "breakerbox", &wanted).await)?;
    assert_eq!((with_stale_version.code, causes(&with_stale_version)), (409, vec![]));
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
    let note = ["annotate", "scaledobject/agent", "-n", "stale", "note=changed"];
    cluster.kubectl(Role::Person, &note).await?;
    let status = refusal(apply(&api, "breakerbox", &pause(&read, "0")).await)?;
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(causes(&status), []);
    assert_eq!(api.get("agent").await?.annotations().get(PAUSED_REPLICAS), None);
    Ok(())
}

#[tokio::test]
async fn a_key_that_another_manager_holds_at_another_value_is_a_conflict_with_its_cause() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let tenant = cluster.tenant("foreign", &[], 2).await?;
    let note = ["annotate", "scaledobject/agent", "-n", "foreign", "--field-manager=argo"];
    let key = format!("{PAUSED_REPLICAS}=2");
    cluster.kubectl(Role::Person, &[&note[..], &[&key]].concat()).await?;
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
    assert_eq!(causes(&status), [("FieldManagerConflict".to_owned(), field)]);
    let message = &status.details.as_ref().map(|all| all.causes[0].message.clone());
    assert!(message.as_deref().is_some_and(|text| text.contains("\"argo\"")), "{message:?}");
    assert_eq!(api.get("agent").await?.annotations()[PAUSED_REPLICAS], "2");
    Ok(())
}

#[tokio::test]
async fn a_key_that_another_manager_holds_at_our_value_is_shared_and_survives_our_release() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let tenant = cluster.tenant("shared", &[], 1).await?;
    let note = ["annotate", "scaledobject/agent", "-n", "shared", "--field-manager=argo"];
    let key = format!("{PAUSED_REPLICAS}=0");
    cluster.kubectl(Role::Person, &[&note[..], &[&key]].concat()).await?;
    let api = as_breakerbox(cluster, &tenant).await?;
    pause_now(&api).await?;
    tenant.wait_stopped(PROVEN).await?;
    let owners = |object: &DynamicObject| -> Vec<String> {
        let owns = |fields: &Value| {
            fields["f:metadata"]["f:annotations"].get(format!("f:{PAUSED_REPLICAS}")).is_some()
        };
        let entries = object.managed_fields().iter();
        let owning = entries.filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| owns(&fields.0)));
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
    admin.delete("agent", &kube::api::DeleteParams::default()).await?;
    wait_until("the ScaledObject is gone", PROVEN, async || Ok(admin.get_opt("agent").await?.is_none()))
        .await?;
    let bound = pause(&read, "0");
    let mut without_uid = bound.clone();
    without_uid["metadata"].as_object_mut().map(|all| all.remove("uid"));

    let status = refusal(apply(&api, "breakerbox", &bound).await)?;
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(causes(&status), []);
    assert!(status.message.contains("uid mismatch"), "{}", status.message);
    // Without the UID it would be a create. A ScaledObject has a required spec, so even a user
    // who may create gets no object out of ours; a kind without one would be made.
    for user in [&api, &admin] {
        let status = refusal(apply(user, "breakerbox", &without_uid).await)?;
        assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
        let cause = ("FieldValueRequired".to_owned(), "spec".to_owned());
        assert!(causes(&status).contains(&cause), "{status:?}");
    }
    assert_eq!(refusal(apply(&admin, "breakerbox", &bound).await)?.code, 409);
    assert!(admin.get_opt("agent").await?.is_none());
    Ok(())
}
