//! System packages: refused unless the operator wants them, and then installed over the host's files.
//!
//! They are installed only by a server that is root; one that is not has to say so, and the tests see to that instead.

use super::*;
use crate::kit::debian::{Repository, package as deb};

/// Runs a program and answers with what it says, or with a dash when it is not there.
const RUN: &str = "
    import subprocess

    class Deployment:
        def request(self, data):
            try:
                done = subprocess.run(data.split(), capture_output=True, text=True)
            except FileNotFoundError:
                return '-'
            return (done.stdout + done.stderr).strip()
";

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Restarts the server as one that installs system packages.
async fn installing(server: TestServer) -> TestServer {
    let mut server = server;
    server.restart(&[("BUILD_APT", "true")]).await;
    server
}

/// Uploads a `ubiops.yaml` and more files to an environment and waits until it is built or failed; gives the build.
async fn with_yaml(environment: &At, yaml: &str, more: &[(&str, &str)]) -> Reply {
    let files = [&[("ubiops.yaml", yaml)], more].concat();
    let uploaded = upload(environment, "e.zip", package::packed(&files)).await.fine();
    ended(environment, &uploaded).await
}

/// A version `name` of a deployment that runs programs in an environment.
async fn running(deployment: &At, name: &str, environment: &str) -> At {
    let version = deployment.version(name, json!({ "environment": environment })).await;
    version.code(RUN).await;
    version
}

async fn says(version: &At, program: &str) -> String {
    version.ask(json!(program)).await.fine().str("result")
}

both! {
    async fn they_are_refused_unless_the_operator_wants_them(server) {
        let project = server.project("demo").await;
        let environment = environment(&project, "e").await;
        let build = with_yaml(&environment, "# wanted\napt:\n  packages: [hello, tree]\n", &[]).await;
        let told = "ubiops.yaml line 2: this server does not install system packages (apt): its setting build_apt is off; remove apt, or ask the operator for the packages hello, tree";
        assert_eq!((build.str("status").as_str(), build.str("error_message").as_str()), ("failed", told));
        if is_root() {
            return;
        }
        let server = installing(server).await;
        let environment = server.at("/projects/demo").at("/environments/e");
        let build = with_yaml(&environment, "apt:\n  packages: [hello]\n", &[]).await;
        let told = "ubiops.yaml line 1: this server does not install system packages (apt): it does not run as root; remove apt, or ask the operator for the packages hello";
        assert_eq!((build.str("status").as_str(), build.str("error_message").as_str()), ("failed", told));
    }

    async fn packages_of_the_distribution_are_there_for_instances_and_not_for_the_host(server) {
        if !is_root() {
            return;
        }
        let server = installing(server).await;
        let project = server.project("demo").await;
        let here = environment(&project, "e").await;
        let build = with_yaml(&here, "apt:\n  packages: [hello]\n", &[("requirements.txt", "six==1.16.0\n")]).await;
        assert_eq!(build["status"], "success", "{build} {}", server.log());
        let deployment = project.deployment("d", "plain", "plain").await;
        let version = running(&deployment, "v1", "e").await;
        assert_eq!(says(&version, "hello -g tag").await, "tag");
        assert!(!std::path::Path::new("/usr/bin/hello").exists(), "it is on the host");
        let plain = running(&deployment, "v2", &python(&project).await).await;
        assert_eq!(says(&plain, "hello").await, "-");
    }

    async fn scripts_of_packages_reach_little_and_what_they_bring_is_there(server) {
        if !is_root() {
            return;
        }
        let server = installing(server).await;
        let project = server.project("demo").await;
        let repository = Repository::serve(vec![tool(&server.data().display().to_string()), second()]).await;
        let (_web, requirements) = source_package("open('/usr/include/modelyard-tool.h').read()").await;
        let wanted = wanting(&repository, &["modelyard-tool"]);
        let here = environment(&project, "e").await;
        let build = with_yaml(&here, &wanted, &[("requirements.txt", &requirements)]).await;
        assert_eq!(build["status"], "success", "{build}");
        let deployment = project.deployment("d", "plain", "plain").await;
        let version = running(&deployment, "v1", "e").await;
        let report = says(&version, "cat /usr/share/modelyard-tool/report").await;
        let expected = "CapEff:\t00000000000000fb\nCapBnd:\t00000000000000fb\nroot:*:19000:0:99999:7:::\n1 network\nno data\nno proc\nno mount\nno service\nadded\n0 others";
        assert_eq!(report, expected);
        for (program, wanted) in [
            ("modelyard-tool", "works"),
            ("stat -c %a /usr/bin/modelyard-tool", "755"),
            ("cat /etc/modelyard-tool.conf", "configured"),
            ("cat /opt/modelyard-tool/file", "optional"),
            ("cat /var/lib/modelyard-tool/state", "state"),
            ("grep -c modelyard-prober /etc/passwd", "0"),
            ("touch /usr/bin/x", "touch: cannot touch '/usr/bin/x': Read-only file system"),
        ] {
            assert_eq!(says(&version, program).await, wanted, "{program}");
        }
        for place in ["/usr/bin/modelyard-tool", "/etc/modelyard-tool.conf", "/opt/modelyard-tool", "/var/lib/dpkg/info/modelyard-tool.list"] {
            assert!(!std::path::Path::new(place).exists(), "{place} is on the host");
        }
        assert!(!std::fs::read_to_string("/etc/passwd").unwrap().contains("modelyard-prober"));
        let code = "
            import probe, subprocess

            class Deployment:
                def request(self, data):
                    return probe.seen + ' ' + subprocess.run(['modelyard-second'], capture_output=True, text=True).stdout.strip()
        ";
        let own = wanting(&repository, &["modelyard-second"]);
        version.package(package::packed(&[("deployment.py", code), ("ubiops.yaml", &own)])).await;
        until("both are there", async || says(&version, "true").await == "a header works too").await;

        // The same packages are not installed again.
        let more = format!("{wanted}environment_variables: [A=1]\n");
        let again = environment(&project, "again").await;
        assert_eq!(with_yaml(&again, &more, &[]).await["status"], "success");
        logged(&project, "again", "These system packages were chosen before; using the same versions").await;
        let twice = wanting(&repository, &["modelyard-tool", "modelyard-tool=1.0"]);
        assert_eq!(with_yaml(&again, &twice, &[]).await["status"], "success");
        logged(&project, "again", "The system packages were installed before").await;
        assert!(server.files("environments/systems").iter().all(|name| !name.ends_with(".work")));
    }

    async fn libraries_of_r_are_built_over_them_too(server) {
        if !is_root() {
            return;
        }
        let server = installing(server).await;
        let project = server.project("demo").await;
        let repository = Repository::serve(vec![second()]).await;
        project.post("/environments", json!({ "name": "r", "base_environment": "r4-0" })).await.fine();
        let here = project.at("/environments/r");
        let script = "stopifnot(system('modelyard-second') == 0)\n";
        let build = with_yaml(&here, &wanting(&repository, &["modelyard-second"]), &[("install_packages.R", script)]).await;
        assert_eq!(build["status"], "success", "{build}");
        let deployment = project.deployment("d", "plain", "plain").await;
        let version = deployment.version("v1", json!({ "environment": "r" })).await;
        let code = "request <- function(input_data) system('modelyard-second', intern = TRUE)\n";
        version.package(package::packed(&[("deployment.R", code)])).await;
        assert_eq!(says(&version, "").await, "works too");
    }

    async fn a_source_counts_when_its_key_is_given(server) {
        if !is_root() {
            return;
        }
        let server = installing(server).await;
        let project = server.project("demo").await;
        let (repository, key) = Repository::serve_signed(vec![second()]).await;
        let (_, another) = Repository::serve_signed(vec![second()]).await;
        let item = |key: &str| format!("items:\n    - |\n      {}", key.trim_end().replace('\n', "\n      "));
        let address = format!("urls: ['{}/key.asc']", repository.web.address);
        let source = repository.signed_source();
        let unsigned = "is not signed by a key that is known; add its key to apt.keys";
        for (name, keys, told) in [
            ("address", Some(address), ""),
            ("text", Some(item(&key)), ""),
            ("none", None, unsigned),
            ("another", Some(item(&another)), unsigned),
        ] {
            let keys = keys.map(|keys| format!("  keys:\n    {keys}\n")).unwrap_or_default();
            let yaml = format!("apt:\n  packages: [modelyard-second]\n{keys}  sources:\n    items: ['{source}']\n");
            let build = with_yaml(&environment(&project, name).await, &yaml, &[]).await;
            match told {
                "" => assert_eq!(build["status"], "success", "{name}: {build}"),
                told => assert!(build.str("error_message").ends_with(told), "{name}: {build}"),
            }
        }
    }

    async fn an_installation_that_runs_is_cancelled(server) {
        if !is_root() {
            return;
        }
        let server = installing(server).await;
        let project = server.project("demo").await;
        let here = environment(&project, "e").await;
        let endless = deb("modelyard-endless", "1.0", &[], "echo the script is at work; sleep 600");
        let repository = Repository::serve(vec![endless]).await;
        let yaml = wanting(&repository, &["modelyard-endless"]);
        let uploaded = upload(&here, "e.zip", package::packed(&[("ubiops.yaml", &yaml)])).await.fine();
        logged(&project, "e", "the script is at work").await;
        let build = here.at(&format!("/revisions/{}/builds/{}", uploaded.str("revision"), uploaded.str("build")));
        build.patch("", json!({ "status": "cancelled" })).await.fine();
        until("nothing of it is left", async || server.files("environments/systems").is_empty()).await;
        until("its processes have ended", async || server.processes().is_empty()).await;
        assert_eq!(build.get("").await["status"], "cancelled");
    }

    async fn what_cannot_be_installed_is_told_with_its_line(server) {
        if !is_root() {
            return;
        }
        let server = installing(server).await;
        let project = server.project("demo").await;
        let here = environment(&project, "e").await;
        let repository = Repository::serve(vec![broken()]).await;
        let gone = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
        for (yaml, told) in [
            (
                "apt:\n  packages:\n  - hello\n  - modelyard-no-such-package\n".to_owned(),
                "ubiops.yaml line 4: the system package modelyard-no-such-package was not found; check its name, or add the source that has it to apt.sources".to_owned(),
            ),
            (
                "apt:\n  packages: [hello=99]\n".to_owned(),
                "ubiops.yaml line 2: the system package hello has no version 99; leave the version out to get the newest".to_owned(),
            ),
            (
                format!("apt:\n  packages: [hello]\n  sources:\n    items:\n    - deb http://{gone}/ ./\n"),
                format!("ubiops.yaml line 5: the source http://{gone}/./InRelease cannot be reached"),
            ),
            (
                format!("apt:\n  packages: [hello]\n  sources:\n    items:\n    - deb {}/ ./\n", repository.web.address),
                format!("ubiops.yaml line 5: the source {} cannot be reached or has not what is asked of it: it has no Release file", repository.web.address),
            ),
            (
                "apt:\n  packages: [hello]\n  keys:\n    items:\n    - ABCDEF\n".to_owned(),
                "ubiops.yaml line 5: this is no key; give the address or the text of a public OpenPGP key".to_owned(),
            ),
            (
                format!("apt:\n  packages: [hello]\n  keys:\n    urls: ['http://{gone}/key.asc']\n"),
                format!("ubiops.yaml line 4: http://{gone}/key.asc cannot be fetched"),
            ),
            (
                wanting(&repository, &["modelyard-broken"]),
                "The system package modelyard-broken could not be installed: a script of it failed".to_owned(),
            ),
        ] {
            let build = with_yaml(&here, &yaml, &[]).await;
            let message = build.str("error_message");
            assert!(build["status"] == "failed" && message.starts_with(&told), "{message}\n{told}");
        }
        assert_eq!(server.files("environments/systems"), Vec::<String>::new());
    }
}

/// A `ubiops.yaml` that wants these packages of a repository.
fn wanting(repository: &Repository, packages: &[&str]) -> String {
    format!("apt:\n  packages: {packages:?}\n  sources:\n    items:\n    - {}\n", repository.source())
}

async fn logged(project: &At, environment: &str, line: &str) {
    let query = format!("| environment_name=`{environment}`");
    until(line, async || project.find("/logs", &[("query", &query)]).await.fine().each("log").contains(line)).await;
}

/// A package with a program, a header and more, whose script tells what it can do.
fn tool(data: &str) -> (String, Vec<u8>) {
    let files = [
        ("usr/bin/modelyard-tool", "#!/bin/sh\necho works\n", 0o4755),
        ("usr/include/modelyard-tool.h", "a header", 0o644),
        ("etc/modelyard-tool.conf", "configured\n", 0o644),
        ("opt/modelyard-tool/file", "optional\n", 0o644),
    ];
    let script = format!(
        "
        mkdir -p /usr/share/modelyard-tool /var/lib/modelyard-tool
        echo state > /var/lib/modelyard-tool/state
        yes_or_no() {{ name=$1; shift; if \"$@\" 2>/dev/null; then echo \"a $name\"; else echo \"no $name\"; fi; }}
        {{
            grep -E 'CapEff|CapBnd' /proc/self/status
            head -n 1 /etc/shadow
            echo \"$(grep -c : /proc/net/dev) network\"
            yes_or_no data test -e {data}
            yes_or_no proc sh -c 'echo x > /proc/sys/kernel/domainname'
            yes_or_no mount mount -t tmpfs none /mnt
            yes_or_no service sh -c '/usr/sbin/policy-rc.d x start'
            useradd --system modelyard-prober && echo added
            echo \"$(ls /home /srv /mnt | grep -vc : | sed s/^2$/0/) others\"
        }} > /usr/share/modelyard-tool/report
        "
    );
    deb("modelyard-tool", "1.0", &files, &script)
}

fn second() -> (String, Vec<u8>) {
    deb("modelyard-second", "1.0", &[("usr/bin/modelyard-second", "#!/bin/sh\necho works too\n", 0o755)], "")
}

fn broken() -> (String, Vec<u8>) {
    deb("modelyard-broken", "1.0", &[("usr/bin/modelyard-broken", "", 0o755)], "exit 3")
}
