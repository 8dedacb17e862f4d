//! The kinds of rules, which all tests share.

use tokio::sync::OnceCell;

use super::{Api, control_plane, until};

/// Where the API server has the objects of a kind, before their plural.
pub(crate) const RULES: &str = "/apis/pullkey.dev/v1alpha1";

/// Installs the kinds of rules and their roles as an admin does, unless they are there.
pub(crate) async fn install_kinds(api: &Api) {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let install = async || {
        control_plane().kubectl(&["apply", "-k", "deploy/crds"], "");
        for plural in ["clusterpullsecretrules", "pullsecretrules"] {
            until("the API server serves the kinds of rules", async || {
                (api.get(&format!("{RULES}/{plural}")).await.status == 200).then_some(())
            })
            .await;
        }
    };
    INSTALLED.get_or_init(install).await;
}
