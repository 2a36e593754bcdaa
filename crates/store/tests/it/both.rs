//! Both databases, and rows to put into them.

use modelyard_store::*;
use modelyard_testkit::postgres::{Database, PrivatePostgres};
use modelyard_types::Timestamp;
use modelyard_types::environments::EnvironmentBuildDependency;
use modelyard_types::fields::PayloadType;
use modelyard_types::ids::*;
use modelyard_types::instance_type_groups::Member;
use modelyard_types::labels::Labels;
use modelyard_types::revisions::BuildStatus;
use modelyard_types::versions::{RetentionMode, ScalingStrategy, VersionStatus};

/// An empty place for a database, cleared away with this value.
pub enum Place {
    Lite(tempfile::TempDir),
    Pg(Database),
}

impl Place {
    pub fn lite() -> Self {
        Place::Lite(tempfile::tempdir().unwrap())
    }

    pub fn pg() -> Self {
        Place::Pg(PrivatePostgres::shared().database())
    }

    pub fn address(&self) -> String {
        match self {
            Place::Lite(folder) => folder.path().join("modelyard.db").to_str().unwrap().to_owned(),
            Place::Pg(database) => database.url(),
        }
    }

    pub async fn open(&self) -> Store {
        Store::open(&self.address()).await.unwrap()
    }
}

/// A place of either kind.
pub fn places() -> [Place; 2] {
    [Place::lite(), Place::pg()]
}

/// An open store of either kind. Keep the place, or the database goes.
pub async fn both() -> Vec<(Store, Place)> {
    let mut stores = Vec::new();
    for place in places() {
        stores.push((place.open().await, place));
    }
    stores
}

pub fn organization(name: &str) -> Organization {
    Organization {
        id: OrganizationId::new(),
        name: name.try_into().unwrap(),
        subscription: "free".into(),
        subscription_start_date: None,
        subscription_end_date: Some("2030-01-01".into()),
        status: "active".into(),
        two_factor_forced: false,
        created_at: Timestamp::now(),
    }
}

pub fn user(email: &str) -> User {
    User {
        id: UserId::new(),
        email: email.into(),
        name: "Ada".into(),
        surname: String::new(),
        password_hash: None,
        is_admin: true,
        active: true,
        created_at: Timestamp::now(),
    }
}

pub fn token(user: &User, hash: [u8; 32]) -> Token {
    Token {
        id: TokenId::new(),
        user_id: user.id,
        hash,
        label: "first".into(),
        created_at: Timestamp::now(),
        expires_at: None,
    }
}

pub fn project(organization: &Organization, name: &str) -> Project {
    Project {
        id: ProjectId::new(),
        organization_id: organization.id,
        name: name.try_into().unwrap(),
        advanced_permissions: false,
        credits: Some(1.5),
        suspended: false,
        suspended_reason: None,
        cors_origins: vec!["https://example.org".into()],
        labels: Labels([("team".to_owned(), "red".to_owned())].into()),
        egress: None,
        created_at: Timestamp::now(),
        updated_at: Timestamp::now(),
    }
}

pub fn deployment(project: &Project, name: &str) -> Deployment {
    let fields = r#"[{"name":"x","data_type":"double"},
        {"name":"y","data_type":"int","widget":{"type":"slider","configuration":{"min":1,"max":1.5}}}]"#;
    Deployment {
        id: DeploymentId::new(),
        project_id: project.id,
        name: name.try_into().unwrap(),
        description: "tells flowers apart".into(),
        input_type: Some(PayloadType::Structured),
        output_type: Some(PayloadType::Plain),
        input_fields: serde_json::from_str(fields).unwrap(),
        output_fields: Vec::new(),
        labels: Labels::default(),
        supports_request_format: true,
        default_version_id: None,
        created_at: Timestamp::now(),
        updated_at: Timestamp::now(),
    }
}

pub fn environment(project: Option<&Project>, base: Option<&Environment>, name: &str) -> Environment {
    Environment {
        id: EnvironmentId::new(),
        project_id: project.map(|project| project.id),
        name: name.into(),
        display_name: "Python 3.11".into(),
        description: String::new(),
        labels: Labels::default(),
        base_environment_id: base.map(|base| base.id),
        implicit: false,
        hidden: false,
        system: base.is_none(),
        gpu_required: false,
        deprecated: false,
        supports_request_format: true,
        interpreter: "3.11".into(),
        created_at: Timestamp::now(),
        updated_at: Timestamp::now(),
    }
}

pub fn tag(environment: &Environment) -> Tag {
    Tag {
        id: TagId::new(),
        environment_id: environment.id,
        name: environments::tags::FIRST.into(),
        status: VersionStatus::Available,
        active_revision_id: None,
        latest_revision_id: None,
        active_build_id: None,
        latest_build_id: None,
        created_at: Timestamp::now(),
        updated_at: Timestamp::now(),
    }
}

pub fn environment_revision(tag: &Tag) -> EnvironmentRevision {
    EnvironmentRevision {
        id: EnvironmentRevisionId::new(),
        tag_id: tag.id,
        created_at: Timestamp::now(),
        created_by: "ada@example.org".into(),
        package_key: Some("objects/requirements".into()),
        file_name: Some("requirements.zip".into()),
        requirements: "numpy==2.0\n".into(),
        dependency_files: Some(vec![EnvironmentBuildDependency {
            name: "requirements.txt".into(),
            content: "numpy==2.0\n".into(),
        }]),
        expired: false,
    }
}

pub fn build(revision: &EnvironmentRevision) -> EnvironmentBuild {
    EnvironmentBuild {
        id: EnvironmentBuildId::new(),
        revision_id: revision.id,
        status: BuildStatus::Queued,
        error_message: None,
        build_trigger: "Environment file upload".into(),
        size: None,
        content_key: None,
        base_build_id: None,
        server_id: None,
        life: None,
        created_at: Timestamp::now(),
        started_at: None,
        finished_at: None,
    }
}

pub fn version(deployment: &Deployment, environment: &Environment, name: &str) -> Version {
    Version {
        id: VersionId::new(),
        deployment_id: deployment.id,
        project_id: deployment.project_id,
        name: name.try_into().unwrap(),
        description: String::new(),
        labels: Labels::default(),
        environment_id: environment.id,
        base_environment_id: environment.base_environment_id.unwrap_or(environment.id),
        environment_explicit: false,
        instance_type: "512mb".into(),
        instance_type_group_id: None,
        minimum_instances: 0,
        maximum_instances: 5,
        maximum_idle_time: 300,
        instance_processes: 1,
        scaling_strategy: ScalingStrategy::Default,
        request_retention_mode: RetentionMode::Full,
        request_retention_time: 604_800,
        maximum_queue_size: 100_000,
        maximum_queue_size_express: 100,
        maximum_queue_size_batch: 100_000,
        restart_request_interruption: false,
        monitoring: None,
        ports: vec![serde_json::json!({ "public_port": 80 })],
        status: VersionStatus::Unavailable,
        active_revision_id: None,
        active_environment_id: None,
        active_build_id: None,
        latest_revision_id: None,
        last_file_upload: None,
        generation: 0,
        created_at: Timestamp::now(),
        updated_at: Timestamp::now(),
    }
}

pub fn instance_type_group(project: &Project, name: &str) -> InstanceTypeGroup {
    InstanceTypeGroup {
        id: InstanceTypeGroupId::new(),
        project_id: project.id,
        name: name.into(),
        members: vec![Member { instance_type: "512mb".into(), priority: 0, schedule_timeout: 60 }],
        created_at: Timestamp::now(),
        updated_at: Timestamp::now(),
    }
}

pub fn revision(version: &Version) -> Revision {
    Revision {
        id: RevisionId::new(),
        version_id: version.id,
        project_id: version.project_id,
        created_at: Timestamp::now(),
        created_by: "ada@example.org".into(),
        build_trigger: "Deployment file upload".into(),
        status: BuildStatus::Queued,
        error_message: None,
        has_request_method: Some(true),
        has_requests_method: None,
        package_key: format!("packages/{}", RevisionId::new()),
        package_size: 1_000,
        package_sha256: [7; 32],
        file_name: "iris.zip".into(),
        main_file: "deployment".into(),
        language: "python".into(),
        environment_id: version.environment_id,
        environment_build_id: None,
        server_id: None,
        life: None,
        finished_at: None,
    }
}

/// A project with a deployment and a version, stored.
pub struct World {
    pub organization: Organization,
    pub project: Project,
    pub base: Environment,
    pub deployment: Deployment,
    pub version: Version,
}

impl World {
    pub async fn in_store(store: &Store) -> Self {
        let organization = organization("acme");
        let project = project(&organization, "demo");
        let base = environment(None, None, "python3-11");
        let deployment = deployment(&project, "iris");
        let version = version(&deployment, &base, "v1");
        let mut tx = store.begin().await.unwrap();
        organizations::insert(&mut tx, &organization).await.unwrap();
        projects::insert(&mut tx, &project).await.unwrap();
        environments::insert(&mut tx, &base).await.unwrap();
        environments::tags::insert(&mut tx, &tag(&base)).await.unwrap();
        deployments::insert(&mut tx, &deployment).await.unwrap();
        versions::insert(&mut tx, &version).await.unwrap();
        tx.commit().await.unwrap();
        Self { organization, project, base, deployment, version }
    }
}
