//! What user code sees and may do between the walls.

use std::fs;

use serde_json::{Value, json};

use crate::harness::Bench;

/// Runs Python statements in an instance, and gives what they leave in `seen`.
async fn look(bench: &Bench, code: &str) -> Value {
    let (mut instance, process) = bench.request(&format!("import os\nseen = {{}}\n{code}\nreturn seen")).await;
    instance.ask(&process, 1, bench.folder.path().to_str().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn user_code_is_nobody() {
    let bench = Bench::open();
    let code = "status = dict(line.split(':', 1) for line in open('/proc/self/status'))
for name in ('CapEff', 'CapPrm', 'CapInh', 'CapAmb', 'NoNewPrivs'): seen[name] = int(status[name], 16)
seen['uid'] = os.getresuid()
seen['groups'] = os.getgroups()";
    let seen = look(&bench, code).await;
    for name in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        assert_eq!(seen[name], 0, "{name}");
    }
    assert_eq!(seen["NoNewPrivs"], 1);
    let other = look(&bench, "seen['uid'] = os.getresuid()").await;
    if bench.uses("own user id") {
        assert_eq!(seen["groups"], json!([]));
        assert_ne!(seen["uid"], other["uid"], "each instance is a user of its own");
    }
    assert_ne!(seen["uid"][0], 0);
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_server_is_to_be_seen() {
    let bench = Bench::open();
    fs::write(bench.folder.path().join("secret"), "x").unwrap();
    let code = "seen['secret'] = os.path.exists(data + '/secret')
seen['root'] = sorted(os.listdir('/'))
seen['etc'] = [name for name in ('shadow', 'machine-id', 'ssh') if os.path.exists('/etc/' + name)]
seen['pids'] = [name for name in os.listdir('/proc') if name.isdigit()] if os.path.isdir('/proc') else []
seen['fds'] = sorted(int(fd) for fd in os.listdir('/proc/self/fd'))
seen['env'] = dict(os.environ)
seen['names'] = os.path.exists('/home/deployment'), os.path.expanduser('~')";
    let seen = look(&bench, code).await;
    let env = seen["env"].as_object().unwrap();
    assert_eq!(env["OF_THE_USER"], "yes");
    assert!(!env.keys().any(|name| name.starts_with("CARGO") || name.starts_with("NEXTEST")), "{env:?}");
    if bench.has_namespaces() {
        assert_eq!(seen["secret"], false);
        assert_eq!(seen["etc"], json!([]));
        assert!(!seen["root"].as_array().unwrap().contains(&json!("mnt")), "{}", seen["root"]);
        assert!(seen["pids"].as_array().unwrap().len() <= 3, "{}", seen["pids"]);
        assert_eq!(seen["names"], json!([true, "/home/deployment"]));
    }
    // Its own three, its socket, the listing itself, and what the interpreter opened.
    assert!(seen["fds"].as_array().unwrap().len() <= 7, "{}", seen["fds"]);
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_private_places_can_be_written() {
    let bench = Bench::open();
    let code = "import sys
def can(path):
    try:
        with open(path, 'w') as file: file.write('x')
        return True
    except OSError: return False
places = {'package': 'new', 'main': 'deployment.py', 'below': 'data/new', 'file': 'data/file', 'tmp': os.environ['TMPDIR'] + '/x', 'home': os.path.expanduser('~/x'),
    'shm': '/dev/shm/x', 'usr': '/usr/x', 'etc': '/etc/x', 'top': '/x', 'python': sys.base_prefix + '/x', 'dev': '/dev/x'}
seen = {name: can(path) for name, path in places.items()}";
    let (mut instance, process) = bench.request(&format!("import os\n{code}\nreturn seen")).await;
    let seen = instance.ask(&process, 1, "").unwrap();
    for name in ["package", "main", "below", "file", "tmp", "home"] {
        assert_eq!(seen[name], true, "{name}: {seen}");
    }
    for name in ["usr", "etc", "top", "python", "dev"] {
        assert_eq!(seen[name], false, "{name}: {seen}");
    }
    let main = fs::read_to_string(instance.spec.package.join("deployment.py")).unwrap();
    assert!(main.contains("class Deployment"), "the package itself never changes");
    assert!(!instance.spec.package.join("new").exists());
    assert_eq!(fs::read_to_string(instance.spec.package.join("data/file")).unwrap(), "original");
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_are_seen_at_their_own_place_also_below_a_temporary_one() {
    let bench = Bench::open();
    let environment = bench.folder.path().join("environments/one");
    fs::create_dir_all(&environment).unwrap();
    fs::write(environment.join("file"), "of the environment").unwrap();
    let link = bench.folder.path().join("link");
    std::os::unix::fs::symlink(&environment, &link).unwrap();
    let code = "class Deployment:
    def request(self, data):
        try: open(data + '/new', 'w')
        except OSError as e: return [open(data + '/file').read(), e.strerror]
";
    let mut spec = bench.spec(code);
    spec.readable.push(link.clone());
    let mut instance = bench.start(spec).await;
    let process = instance.ready();
    if bench.has_namespaces() {
        for (call, folder) in [(1, &link), (2, &environment)] {
            let seen = instance.ask(&process, call, folder.to_str().unwrap());
            assert_eq!(seen, Ok(json!(["of the environment", "Read-only file system"])));
        }
    }
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_process_cannot_be_harmed() {
    let bench = Bench::open();
    let code = "import signal
first = os.getppid()
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGSEGV, signal.SIGKILL, signal.SIGSTOP):
    try: os.kill(first, number)
    except OSError as e: seen[str(number)] = e.strerror
for name in ('environ', 'mem', 'fd'):
    try:
        path = '/proc/%d/%s' % (first, name)
        os.listdir(path) if name == 'fd' else open(path).read()
        seen[name] = True
    except OSError as e: seen[name] = False
seen['parent'] = os.getppid() == first";
    let (mut instance, process) = bench.request(&format!("import os\nseen = {{}}\n{code}\nreturn seen")).await;
    if bench.has_namespaces() {
        let seen = instance.ask(&process, 1, "").unwrap();
        assert_eq!(
            (&seen["environ"], &seen["mem"], &seen["fd"]),
            (&json!(false), &json!(false), &json!(false)),
            "{seen}"
        );
        assert_eq!(seen["parent"], true);
        instance.ask(&process, 2, "").unwrap();
    }
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn common_needs_are_met() {
    let bench = Bench::open();
    let code = "import multiprocessing, socket, ssl, subprocess, tempfile, getpass
seen['pool'] = multiprocessing.get_context('fork').Pool(2).map(abs, [-1, -2])
seen['shell'] = subprocess.run('echo hi | cat', shell=True, capture_output=True, text=True).stdout
seen['user'] = getpass.getuser()
seen['tmp'] = tempfile.NamedTemporaryFile().name
seen['null'] = os.path.exists('/dev/null') and open('/dev/urandom', 'rb').read(2) != b''
seen['localhost'] = socket.gethostbyname('localhost')
seen['certificates'] = os.path.isdir('/etc/ssl')
seen['cwd'] = os.getcwd()";
    let seen = look(&bench, code).await;
    assert_eq!(seen["pool"], json!([1, 2]));
    assert_eq!(seen["shell"], "hi\n");
    assert_eq!(seen["user"], "deployment");
    assert_eq!(seen["null"], true);
    assert_eq!(seen["localhost"], "127.0.0.1");
    if bench.has_namespaces() {
        assert_eq!(seen["cwd"], "/deployment");
        assert!(seen["tmp"].as_str().unwrap().starts_with("/tmp/"));
    }
    bench.close().await;
}
