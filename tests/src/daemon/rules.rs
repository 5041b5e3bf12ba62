//! Rules that several tests share.

use super::Site;

/// Rules that stop each tenant at 50 USD a year and tell a webhook, warned at 80 %. A tenant's role in the logs
/// has its name, and its namespace the label `tenant`.
#[must_use]
pub fn stopping_rules(site: &Site, tenants: &[&str], hook: &str) -> String {
    let secret = site.path("token").display().to_string();
    let principals: String = tenants
        .iter()
        .map(|t| format!("    - {{principal: \"111122223333:role/{t}\", set: {{tenant: {t}}}}}\n"))
        .collect();
    format!(
        r#"
apiVersion: breakerbox.dev/v1alpha1
kind: Budget
metadata: {{name: tenant-daily}}
spec:
  select: {{all: true}}
  perEach: [tenant]
  limit: {{amount: 50 USD}}
  window: {{calendar: year}}
  warnAt: [80%]
  onWarn:
    - notify: {{route: oncall}}
  onTrip:
    - notify: {{route: oncall}}
    - pauseScaledObjects: {{in: {{namespaceLabels: {{tenant: "${{tenant}}"}}}}}}
  mode: enforce
---
apiVersion: breakerbox.dev/v1alpha1
kind: Attribution
metadata: {{name: roles}}
spec:
  principals:
{principals}---
apiVersion: breakerbox.dev/v1alpha1
kind: Route
metadata: {{name: oncall}}
spec:
  receivers:
    - webhook: {{url: "{hook}", secret: {{file: {secret}}}}}
---
apiVersion: breakerbox.dev/v1alpha1
kind: Guardrail
metadata: {{name: default}}
spec:
  page: oncall
"#
    )
}
