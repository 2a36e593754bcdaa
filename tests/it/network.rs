//! How far the code of a project reaches into the network. What is closed to whom is the runner's to test, in worlds of its own:
//! these servers have the host's network, which is not touched.

use crate::kit::*;

/// Tells the interfaces it sees, and what the platform says to it.
const LOOKS: &str = "
    import socket, urllib.request
    class Deployment:
        def request(self, data):
            with urllib.request.urlopen(data + '/healthz', timeout=60) as answer:
                return {'alone': [name for _, name in socket.if_nameindex()] == ['lo'], 'status': answer.status}
    ";

/// Whether this host lets us keep instances out of the network.
async fn can_have_none(server: &TestServer) -> bool {
    server.patch("/projects/default/network", json!({ "egress": "none" })).await.status == 200
}

both! {
    async fn it_is_the_servers_choice_until_a_project_chooses(server) {
        let project = server.project("demo").await;
        assert_snapshot!(project.get("/network").await, @r#"200 {"egress":null,"chosen":null,"server":"all","problem":null}"#);
        if can_have_none(&server).await {
            let chosen = project.patch("/network", json!({ "egress": "none" })).await;
            assert_snapshot!(chosen, @r#"200 {"egress":"none","chosen":"none","server":"all","problem":null}"#);
            assert_eq!(project.get("/network").await.to_string(), chosen.to_string());
            let kept = project.patch("/network", json!({})).await;
            assert_eq!(kept.to_string(), chosen.to_string());
            let back = project.patch("/network", json!({ "egress": null })).await;
            assert_snapshot!(back, @r#"200 {"egress":null,"chosen":null,"server":"all","problem":null}"#);
            assert_snapshot!(project.get("/audit?action=update").await.each("event"), @r#"["Updated the network of project demo: egress from 'none' to ''","Updated the network of project demo: egress from '' to 'none'"]"#);
        }
    }

    async fn what_the_server_cannot_do_is_refused(server) {
        let project = server.project("demo").await;
        for egress in ["public", "open"] {
            let refused = project.patch("/network", json!({ "egress": egress })).await;
            assert_eq!(refused.status, 400);
            assert!(refused.error().starts_with(&format!("egress: This server cannot give instances the network '{egress}': ")), "{refused}");
        }
        for body in [json!({ "egress": "everything" }), json!({ "egress": 5 }), json!({ "egres": "none" }), json!([])] {
            let refused = project.patch("/network", body.clone()).await;
            assert_eq!(refused.status, 400, "{body}: {refused}");
        }
        assert!(project.get("/network").await["chosen"].is_null());
        assert_snapshot!(project.get("/audit?action=update").await.each("event"), @"[]");
    }

    async fn a_change_replaces_the_instances(server) {
        let project = server.project("demo").await;
        let deployment = project.running("d", "plain", "plain", LOOKS).await;
        let origin = json!(server.origin());
        assert_snapshot!(deployment.ask(origin.clone()).await.outcome(), @r#"completed {"alone":false,"status":200}"#);
        if !can_have_none(&server).await {
            return;
        }
        project.patch("/network", json!({ "egress": "none" })).await.fine();
        until("instances are alone with the platform", async || {
            deployment.ask(origin.clone()).await.outcome() == r#"completed {"alone":true,"status":200}"#
        })
        .await;
        project.patch("/network", json!({ "egress": null })).await.fine();
        until("they are not any more", async || {
            deployment.ask(origin.clone()).await.outcome() == r#"completed {"alone":false,"status":200}"#
        })
        .await;
    }

    async fn a_server_may_give_the_network_to_nobody(server) {
        let mut server = server;
        let project = server.project("demo").await;
        project.running("d", "plain", "plain", LOOKS).await;
        if !can_have_none(&server).await {
            return;
        }
        server.restart(&[("INSTANCE_EGRESS", "none")]).await;
        let deployment = server.at("/projects/demo/deployments/d");
        assert_snapshot!(deployment.ask(json!(server.origin())).await.outcome(), @r#"completed {"alone":true,"status":200}"#);
        assert_snapshot!(server.get("/projects/demo/network").await, @r#"200 {"egress":"none","chosen":null,"server":"none","problem":null}"#);
        let refused = server.patch("/projects/demo/network", json!({ "egress": "public" })).await;
        assert_snapshot!(refused, @r#"400 {"error":"egress: This server lets no instance into the network: instance_egress is none. The project's network must be none"}"#);
        assert!(server.log().contains("network        none: nothing but the platform"), "{}", server.log());
    }
}
