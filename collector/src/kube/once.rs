//! What a cluster has, listed once: for a plan, which watches nothing.

use std::time::Duration;

use kube::Api;
use policy::inventory::Inventory;
use policy::time::Timestamp;

use super::WatchedKind;
use super::stream::list;

/// A page of a list is waited for so long.
const PATIENCE: Duration = Duration::from_secs(45);

/// Lists the four kinds. Reads only.
///
/// # Errors
/// What cannot be listed, and what to grant or install.
pub async fn inventory(client: &kube::Client, now: Timestamp) -> Result<Inventory, String> {
    let mut inventory = Inventory::default();
    for kind in WatchedKind::ALL {
        let api = Api::all_with(client.clone(), &kind.resource());
        let (objects, _) = list(&api, kind, PATIENCE).await?;
        for change in objects {
            inventory.apply(change, now);
        }
    }
    Ok(inventory)
}
