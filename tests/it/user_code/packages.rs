//! Shapes of packages that are taken.

use crate::kit::package::{ECHO, zipped};
use crate::kit::*;

both! {
    async fn packages_may_lie_in_the_root_or_in_one_folder_or_in_the_one_that_is_named_so(server) {
        let project = server.project("demo").await;
        let code = ECHO.as_bytes();
        let shapes: [&[(&str, &[u8])]; 3] = [
            &[("deployment.py", code), ("other/notes.txt", b"x")],
            &[("anything at all/deployment.py", code)],
            &[("other/x.txt", b"x"), ("deployment_package/deployment.py", code)],
        ];
        for (at, shape) in shapes.iter().enumerate() {
            let deployment = project.deployment(&format!("d{at}"), "plain", "plain").await;
            deployment.version("v1", json!({})).await.package(zipped(shape)).await;
            assert_eq!(deployment.ask(json!("x")).await.outcome(), r#"completed "x""#);
        }
    }

    async fn methods_may_be_inherited_or_imported(server) {
        let project = server.project("demo").await;
        let code = "
            from base import Base
            class Deployment(Base):
                pass
        ";
        let base = "
            class Base:
                def request(self, data):
                    return 'inherited'
        ";
        let zip = package::packed(&[("deployment.py", code), ("base.py", base)]);
        let deployment = project.deployment("d", "plain", "plain").await;
        deployment.version("v1", json!({})).await.package(zip).await;
        assert_snapshot!(deployment.ask(json!("x")).await.outcome(), @r#"completed "inherited""#);
    }
}
