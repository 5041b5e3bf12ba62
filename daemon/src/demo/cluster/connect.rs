//! Which cluster it is, and whether KEDA is there. Reads only.

use actions::api_error::ApiError;
use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{ListParams, ObjectMeta};
use kube::{Api, Client};

use super::{ANSWER, ask};

/// Where to get KEDA.
const KEDA: &str = "https://keda.sh/docs/latest/deploy/";
/// What KEDA calls its operator, whichever way it was installed.
const OPERATOR: &str = "keda-operator";

/// A cluster that a stop can be shown in. The kubeconfig was read once: a context that is switched while the
/// question stands does not change where the demo writes.
pub(super) struct Site {
    pub(super) client: Client,
    pub(super) context: String,
    pub(super) server: String,
    /// Namespace of KEDA's operator.
    pub(super) keda: String,
    /// This run's name: on its namespace, and as its install id.
    pub(super) id: String,
}

/// Reads the kubeconfig and looks for KEDA.
///
/// # Errors
/// No usable context, a cluster that does not answer, no KEDA: each with what to do.
pub(super) async fn connect(context: Option<String>) -> Result<Site> {
    let read = kube::config::Kubeconfig::read()
        .context("cannot read the kubeconfig that KUBECONFIG or the home folder name")?;
    let Some(context) = context.or_else(|| read.current_context.clone()).filter(|name| !name.is_empty())
    else {
        bail!("the kubeconfig has no current context; name one with `--context NAME`");
    };
    let options = kube::config::KubeConfigOptions { context: Some(context.clone()), ..Default::default() };
    let config = kube::Config::from_custom_kubeconfig(read, &options)
        .await
        .with_context(|| format!("the context `{context}` cannot be used; name another with `--context`"))?;
    let server = config.cluster_url.to_string();
    let client = actions::gateway::client(config).context("cannot make a client of the cluster")?;
    scaled_objects_are_served(&client).await.with_context(|| format!("in the cluster at {server}"))?;
    let keda = operator_namespace(&client).await?;
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let id = format!("demo-{}-{}", std::process::id(), since.as_millis());
    Ok(Site { client, context, server, keda, id })
}

/// Asks the API server's own list of what it serves: that needs no right on the CRD.
async fn scaled_objects_are_served(client: &Client) -> Result<()> {
    let missing = || {
        format!(
            "the CRD `scaledobjects.keda.sh` is not served, so there is nothing to pause; install KEDA 2.12 or \
             later ({KEDA})"
        )
    };
    let asked = client.list_api_group_resources("keda.sh/v1alpha1");
    match ApiError::within(ANSWER, "what is served of keda.sh", asked).await {
        Ok(list) if list.resources.iter().any(|resource| resource.name == "scaledobjects") => Ok(()),
        Ok(_) => bail!(missing()),
        Err(error) if error.code() == Some(404) => bail!(missing()),
        Err(error) => Err(error.into()),
    }
}

async fn operator_namespace(client: &Client) -> Result<String> {
    let all: Api<Deployment> = Api::all(client.clone());
    let named = ListParams::default().fields(&format!("metadata.name={OPERATOR}"));
    let found = ask("list all Deployments", all.list_metadata(&named)).await?;
    let namespace = |meta: ObjectMeta| meta.namespace.unwrap_or_default();
    let mut names: Vec<String> = found.items.into_iter().map(|object| namespace(object.metadata)).collect();
    match (names.pop(), names.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => bail!(
            "KEDA's CRD is there and its operator is not: no Deployment is called `{OPERATOR}`; install KEDA \
             2.12 or later ({KEDA})"
        ),
        (Some(last), false) => {
            names.push(last);
            bail!("more than one `{OPERATOR}` is there, in {}; the demo needs one", names.join(", "))
        }
    }
}
