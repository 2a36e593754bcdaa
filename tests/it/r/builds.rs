//! Environments of R: packages that a script installs, and versions that a lock restores.

use reqwest::Method;
use reqwest::multipart::{Form, Part};

use super::repository::Repository;
use super::*;

/// A package that tells its version.
const TELLS: &[(&str, &str)] = &[("NAMESPACE", "export(told)\n"), ("R/told.R", "told <- function() 'told'\n")];
/// One that tells it by another.
const TELLS_BY: &[(&str, &str)] = &[
    ("NAMESPACE", "export(also)\nimportFrom(teller, told)\n"),
    ("R/also.R", "also <- function() paste('also', told())\n"),
];

const ALSO: &str = "
    library(byteller)
    request <- function(input_data) paste(also(), packageVersion('teller'))
";

/// A server that installs R packages from here.
async fn installing(server: TestServer, repository: &Repository) -> TestServer {
    let mut server = server;
    server.restart(&[("R_REPOSITORY", &repository.url())]).await;
    server
}

fn tellers() -> Repository {
    let repository = Repository::serve();
    repository.add("teller", "1.1", "", TELLS);
    repository.archive("teller", "1.0", TELLS);
    repository.add("byteller", "2.0", "teller", TELLS_BY);
    repository
}

fn lock(teller: &str, source: &str) -> String {
    json!({
        "R": { "Version": "4.2.0", "Repositories": [{ "Name": "CRAN", "URL": "https://cran.example.org" }] },
        "Packages": {
            "byteller": { "Package": "byteller", "Version": "2.0", "Source": "Repository", "Repository": "CRAN", "Requirements": ["teller"] },
            "teller": { "Package": "teller", "Version": teller, "Source": source, "Repository": "CRAN" },
        }
    })
    .to_string()
}

/// An environment on R, and the build of these files that has ended.
async fn environment(server: &TestServer, name: &str, files: &[(&str, &str)]) -> (At, Reply) {
    let project = server.at("/projects/default");
    project.post("/environments", json!({ "name": name, "base_environment": "r4-0" })).await.fine();
    let environment = project.at(&format!("/environments/{name}"));
    let build = upload(&environment, files).await;
    (environment, build)
}

async fn upload(environment: &At, files: &[(&str, &str)]) -> Reply {
    let form = Form::new().part("file", Part::bytes(packed(files)).file_name("e.zip"));
    let uploaded = environment.send(environment.request(Method::POST, "/revisions").multipart(form)).await.fine();
    let build = environment.at(&format!("/revisions/{}/builds/{}", uploaded.str("revision"), uploaded.str("build")));
    until("the build ends", async || !["queued", "building"].contains(&build.get("").await.str("status").as_str()))
        .await;
    build.get("").await
}

/// What code in an environment answers, in a deployment of its own.
async fn told(server: &TestServer, environment: &str, code: &str) -> String {
    let project = server.at("/projects/default");
    let name = format!("d{}", project.get("/deployments").await.len());
    let deployment = project.deployment(&name, "plain", "plain").await;
    let version = deployment.version("v1", json!({ "environment": environment })).await;
    version.package(packed(&[("deployment.R", code)])).await;
    version.ask(json!("x")).await.outcome()
}

both! {
    async fn a_script_installs_packages_with_what_they_need(server) {
        let repository = tellers();
        let server = installing(server, &repository).await;
        let script = [("install_packages.R", "install.packages('byteller')\n")];
        let (first, build) = environment(&server, "first", &script).await;
        assert_eq!(build["status"], "success", "{build}");
        assert_snapshot!(told(&server, "first", ALSO).await, @r#"completed "also told 1.1""#);
        let files = first.get(&format!("/revisions/{}/builds/{}/dependency-files", first.get("").await.str("active_revision"), build.str("id"))).await;
        assert_eq!(files[0]["name"], "install_packages.R");
        // The same files need no build, and a rebuild is one.
        repository.add("teller", "1.2", "", TELLS);
        let (second, build) = environment(&server, "second", &script).await;
        assert_eq!(build["status"], "success", "{build}");
        assert_snapshot!(told(&server, "second", ALSO).await, @r#"completed "also told 1.1""#);
        let lines = server.at("/projects/default").find("/logs", &[("query", "| environment_name=`second`")]).await.fine().each("log");
        assert!(lines.contains("The environment was there already"), "{lines}");
        let write = "request <- function(x) tryCatch({ writeLines('x', file.path(.libPaths()[1], 'x')); 'written' }, error = function(e) 'refused', warning = function(w) 'refused')";
        assert_snapshot!(told(&server, "first", write).await, @r#"completed "refused""#);
        drop(second);
    }

    async fn a_lock_restores_exact_versions(server) {
        let repository = tellers();
        let server = installing(server, &repository).await;
        let (_, build) = environment(&server, "old", &[("renv.lock", &lock("1.0", "Repository"))]).await;
        assert_eq!(build["status"], "success", "{build}");
        assert_snapshot!(told(&server, "old", ALSO).await, @r#"completed "also told 1.0""#);
        repository.add("third", "3.0", "", TELLS);
        let of_another = json!({
            "R": { "Version": "4.2.0", "Repositories": [{ "Name": "OWN", "URL": repository.url() }] },
            "Packages": { "third": { "Package": "third", "Version": "3.0", "Source": "Repository", "Repository": "OWN" } }
        });
        let (_, build) = environment(&server, "of-another", &[("renv.lock", &of_another.to_string())]).await;
        assert_eq!(build["status"], "success", "{build}");
        let alone = json!({ "Packages": { "byteller": { "Package": "byteller", "Version": "2.0", "Source": "Repository" } } }).to_string();
        let unknown = of_another.to_string().replace("\"Repository\":\"OWN\"", "\"Repository\":\"OTHER\"");
        for (at, (lock, sentence)) in [
            (unknown, "renv.lock: package 'third' names the repository 'OTHER', which the file does not define".to_owned()),
            (lock("9.9", "Repository"), format!("renv.lock: package 'teller' 9.9 was not found at {}; the newest there is 1.1", repository.url())),
            (alone, "renv.lock: package 'teller', which another package needs, is not among its packages".to_owned()),
            (lock("1.0", "GitHub"), "renv.lock: package 'teller' comes from GitHub, and only packages of repositories can be installed; install it in an install_packages.R".to_owned()),
            ("{".to_owned(), "renv.lock is not valid JSON: ".to_owned()),
            ("[]".to_owned(), "renv.lock has no 'Packages'".to_owned()),
        ].into_iter().enumerate() {
            let (_, build) = environment(&server, &format!("bad{at}"), &[("renv.lock", &lock)]).await;
            assert_eq!(build["status"], "failed", "{build}");
            assert!(build.str("error_message").starts_with(&sentence), "{build}");
        }
    }

    async fn a_failed_build_says_what_to_do(server) {
        let repository = tellers();
        repository.add("broken", "1.0", "", &[("NAMESPACE", "export(x)\n"), ("R/x.R", "x <- function( {\n")]);
        repository.add("needy", "1.0", "absent", TELLS);
        repository.add("compiled", "1.0", "", &[("NAMESPACE", ""), ("src/x.c", "int f( {\n")]);
        let server = installing(server, &repository).await;
        let at = repository.url();
        let nowhere = "options(repos = 'http://127.0.0.1:9')\ninstall.packages('teller')\n";
        for (number, (script, sentence)) in [
            ("x <- 1\ninstall.packages('absent')\n", format!("install_packages.R line 2: package 'absent' was not found at {at}")),
            ("install.packages('broken')\n", "install_packages.R line 1: package 'broken' could not be installed: ".to_owned()),
            ("install.packages('compiled')\n", "install_packages.R line 1: package 'compiled' could not be installed: ".to_owned()),
            ("install.packages('needy')\n", "install_packages.R line 1: package 'absent', which another package needs, was not found at ".to_owned()),
            ("\n\nlibrary(nothing)\n", "install_packages.R line 3: there is no package called 'nothing'".to_owned()),
            ("install.packages('teller'\n", "install_packages.R line ".to_owned()),
            (nowhere, "install_packages.R line 2: the repository http://127.0.0.1:9/src/contrib cannot be read".to_owned()),
        ].into_iter().enumerate() {
            let (environment, build) = environment(&server, &format!("e{number}"), &[("install_packages.R", script)]).await;
            assert_eq!(build["status"], "failed", "{build}");
            assert!(build.str("error_message").starts_with(&sentence), "{build}");
            assert_eq!(environment.get("").await["status"], "failed");
        }
        assert_eq!(server.files("environments/work"), Vec::<String>::new());
    }

    async fn a_package_brings_its_own_files(server) {
        let repository = tellers();
        let server = installing(server, &repository).await;
        let (_, build) = environment(&server, "below", &[("renv.lock", &lock("1.0", "Repository"))]).await;
        assert_eq!(build["status"], "success", "{build}");
        let deployment = server.at("/projects/default").deployment("d", "plain", "plain").await;
        let version = deployment.version("v1", json!({ "environment": "below" })).await;
        repository.add("third", "3.0", "", TELLS);
        let code = "request <- function(x) paste(byteller::also(), packageVersion('teller'), packageVersion('third'))";
        version.package(packed(&[("deployment.R", code), ("install_packages.R", "install.packages('third')")])).await;
        assert_snapshot!(version.ask(json!("x")).await.outcome(), @r#"completed "also told 1.0 3.0""#);
        let both = version.upload(packed(&[("deployment.R", code), ("install_packages.R", "1"), ("renv.lock", "{}")])).await;
        assert_snapshot!(both, @r#"400 {"error":"There are both install_packages.R and renv.lock; keep one of them"}"#);
    }

    async fn without_a_setting_the_repository_is_that_of_the_host(server) {
        let hosts = std::process::Command::new("Rscript").args(["-e", "cat(getOption('repos')['CRAN'])"]).output().unwrap();
        let hosts = String::from_utf8(hosts.stdout).unwrap();
        let script = "message('the repository is ', getOption('repos'), '.')\n";
        let (_, build) = environment(&server, "e", &[("install_packages.R", script)]).await;
        assert_eq!(build["status"], "success", "{build}");
        let wanted = format!("the repository is {}.", hosts.trim_end_matches('/'));
        let query = [("query", "| environment_name=`e`")];
        until(&wanted, async || server.at("/projects/default").find("/logs", &query).await.each("log").contains(&wanted)).await;
    }

    async fn a_build_that_runs_is_cancelled(server) {
        let project = server.at("/projects/default");
        project.post("/environments", json!({ "name": "e", "base_environment": "r4-0" })).await.fine();
        let environment = project.at("/environments/e");
        let script = [("install_packages.R", "message('at work')\nSys.sleep(600)\n")];
        let form = Form::new().part("file", Part::bytes(packed(&script)).file_name("e.zip"));
        let uploaded = environment.send(environment.request(Method::POST, "/revisions").multipart(form)).await.fine();
        let build = environment.at(&format!("/revisions/{}/builds/{}", uploaded.str("revision"), uploaded.str("build")));
        let query = [("query", "| environment_name=`e`")];
        until("it is at work", async || project.find("/logs", &query).await.text().contains("at work")).await;
        build.patch("", json!({ "status": "cancelled" })).await.fine();
        until("nothing of it is left", async || server.files("environments/work").is_empty()).await;
        assert_eq!(build.get("").await["status"], "cancelled");
    }

    async fn files_of_the_other_language_fail_the_build(server) {
        let (environment, build) = environment(&server, "e", &[("requirements.txt", "six")]).await;
        assert_snapshot!(build.str("error_message"), @"The file requirements.txt is for Python, and the environment is one of R; remove it");
        for (files, sentence) in [
            (&[("notes.md", "x")][..], "Could not find install_packages.R or renv.lock"),
            (&[("install_packages.R", "1"), ("renv.lock", "{}")], "There are both install_packages.R and renv.lock; keep one of them"),
        ] {
            assert_eq!(upload(&environment, files).await["error_message"], *sentence);
        }
    }

    async fn builds_see_neither_the_data_folder_nor_each_other(server) {
        let script = format!(
            "if (any(file.exists(file.path('{data}', c('key', 'admin-token', 'objects'))))) stop('it sees the data folder')\n\
             if (file.exists('/root/.bashrc')) stop('it sees a home folder')\n\
             if (as.integer(system('id -u', intern = TRUE)) == 0L) stop('it is root')\n",
            data = server.data().display()
        );
        let (_, build) = environment(&server, "e", &[("install_packages.R", &script)]).await;
        assert_eq!(build["status"], "success", "{build}");
    }
}
